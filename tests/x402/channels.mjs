// node channels.mjs RPC CONTRACTS SHOP DIRECTORY: the official client of scheme batch-settlement, unchanged, at a paid URL of ours (channel_shop).
import { spawn } from 'node:child_process'
import readline from 'node:readline'
import { createWalletClient, http, publicActions } from 'viem'
import { baseSepolia } from 'viem/chains'
import { x402Client } from '@x402/core/client'
import { toClientEvmSigner } from '@x402/evm'
import { BatchSettlementEvmScheme as Paying } from '@x402/evm/batch-settlement/client'
import { wrapFetchWithPayment } from '@x402/fetch'
import { channelsAt, check, compiled, contract, dollar, equal, people, rpc, rpcUrl, test, verdict } from './contracts/tools.mjs'

const [, payer, payee] = people
const [program, home] = process.argv.slice(4)
const usd = contract(dollar, compiled('DevelopmentDollar').abi), channels = contract(channelsAt, compiled('Channels').abi)
await usd.send(payer).mint(payer.address, 100_000_000n)
const has = who => usd.read.balanceOf(who.address ?? who)

let shop, port
async function open() {
  shop = spawn(program, [rpcUrl, home], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await new Promise((done, no) => { readline.createInterface({ input: shop.stdout }).once('line', l => done([l])); shop.once('exit', c => no(new Error(`the shop ended (${c})`))) })
  port = line.split(' ')[1]
}
const url = (charge = 40000) => `http://127.0.0.1:${port}/minute?charge=${charge}`
await open()

const wallet = createWalletClient({ account: payer, chain: baseSepolia, transport: http(rpcUrl), pollingInterval: 20 }).extend(publicActions)
const client = () => { const paying = new Paying(toClientEvmSigner(payer, wallet)); return [paying, wrapFetchWithPayment(fetch, new x402Client().register('eip155:*', paying))] }
let [paying, pay] = client()
const minute = async charge => {
  const r = await pay(url(charge)), receipt = r.headers.get('PAYMENT-RESPONSE')
  return { status: r.status, ...(receipt ? JSON.parse(Buffer.from(receipt, 'base64')) : {}) }
}
const books = async () => (await (await fetch(`http://127.0.0.1:${port}/books`)).json()).all[0]
const sent = async () => Number(await rpc('eth_getTransactionCount', people[0].address, 'latest'))
let id, before

await test('the first request deposits, and is served', async () => {
  before = [await has(payer), await has(payee), await sent(), await has(channelsAt)] // others' channels are there, too
  const said = await minute()
  equal('served', [said.status, said.success, said.amount, said.extra?.chargedAmount], [200, true, '500000', '40000'])
  id = said.extra.channelState.channelId
  equal('deposited', [before[0] - await has(payer), ...(await channels.read.channels(id))], [500000n, 500000n, 0n])
})
await test('the next ones are vouchers, for less than was allowed too', async () => {
  equal('served', [(await minute()).extra?.channelState?.chargedCumulativeAmount, (await minute(10000)).extra?.channelState?.chargedCumulativeAmount], ['80000', '90000'])
  equal('one transaction in all', await sent() - before[2], 1)
})
await test('one payment header, sent 32 times at once, is charged once', async () => {
  let header
  const catching = wrapFetchWithPayment((input, init) => {
    const h = new Headers(input instanceof Request ? input.headers : init?.headers).get('PAYMENT-SIGNATURE')
    if (h) { header = h; return new Response('{}', { status: 200 }) }
    return fetch(input, init)
  }, new x402Client().register('eip155:*', paying))
  await catching(url())
  const all = await Promise.all([...Array(32)].map(() => fetch(url(), { headers: { 'PAYMENT-SIGNATURE': header } })))
  equal('served', all.filter(r => r.status === 200).length, 1)
  check('the others are asked to pay', all.every(r => r.status === 200 || r.status === 402))
  equal('charged', (await books()).charged, 130000)
})
await test('a client that lost an answer, or all that it knew, is set right by the 402 and goes on', async () => {
  equal('the client that heard nothing of that charge', [(await minute()).status, (await books()).charged], [200, 170000])
  ;[paying, pay] = client()
  equal('a new one', [(await minute()).status, (await books()).charged], [200, 210000])
})
await test('the shop is killed and started again: the channel is where it was', async () => {
  shop.removeAllListeners('exit'); shop.kill('SIGKILL')
  await open()
  equal('served', [(await minute()).status, (await books()).charged], [200, 250000])
})
await test('hundreds of requests, filled up on the way', async () => {
  for (let i = 0; i < 300; ++i) if ((await minute(1001)).status !== 200) return check(`request ${i}`, false)
  equal('charged', (await books()).charged, 250000 + 300 * 1001)
})
await test('what is left goes back, what was charged is claimed once, to the unit', async () => {
  const said = await paying.refund(url())
  equal('said', said.success, true)
  const charged = 250000n + 300n * 1001n
  equal('the payer', before[0] - await has(payer), charged)
  equal('the payee', await has(payee) - before[1], charged)
  equal('the contract', [await has(channelsAt) - before[3], ...(await channels.read.channels(id))], [0n, charged, charged])
  const now = await books()
  equal('our books', [now.phase, now.claimed, now.forfeited], ['closed', Number(charged), 0])
})
await test('the same channel is filled again', async () => {
  const said = await minute()
  equal('served', [said.status, said.extra?.channelState?.channelId], [200, id])
  equal('refunded in part', (await paying.refund(url(), { amount: '100000' })).amount, '100000')
  equal('and it goes on', (await minute()).status, 200)
})
shop.removeAllListeners('exit'); shop.stdin.end()
await new Promise(r => shop.once('exit', r))
verdict()
