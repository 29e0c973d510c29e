// node official.mjs RPC CONTRACTS: the official client, server and facilitator of scheme batch-settlement, unchanged, with our contracts where they
// look for theirs.
import express from 'express'
import { createWalletClient, http, publicActions } from 'viem'
import { baseSepolia } from 'viem/chains'
import { x402Client } from '@x402/core/client'
import { x402Facilitator } from '@x402/core/facilitator'
import { HTTPFacilitatorClient, x402ResourceServer } from '@x402/core/server'
import { toClientEvmSigner, toFacilitatorEvmSigner } from '@x402/evm'
import { BatchSettlementEvmScheme as Paying } from '@x402/evm/batch-settlement/client'
import { BatchSettlementEvmScheme as Settling } from '@x402/evm/batch-settlement/facilitator'
import { BatchSettlementEvmScheme as Selling } from '@x402/evm/batch-settlement/server'
import { paymentMiddleware, setSettlementOverrides } from '@x402/express'
import { wrapFetchWithPayment } from '@x402/fetch'
import { channelsAt, check, compiled, contract, dollar, equal, later, people, rpcUrl, test, verdict } from './tools.mjs'

const [settler, payer, payee] = people
const network = 'eip155:84532'
const usd = contract(dollar, compiled('DevelopmentDollar').abi), channels = contract(channelsAt, compiled('Channels').abi)
await usd.send(payer).mint(payer.address, 100_000_000n)
const has = who => usd.read.balanceOf(who.address ?? who)
const listening = app => new Promise(r => { const s = app.listen(0, '127.0.0.1', () => r(s.address().port)) })

const wallet = createWalletClient({ account: settler, chain: baseSepolia, transport: http(rpcUrl), pollingInterval: 20 }).extend(publicActions)
const facilitator = new x402Facilitator().register(network, new Settling(toFacilitatorEvmSigner({ ...wallet, address: settler.address }), { address: settler.address, signTypedData: x => settler.signTypedData(x) }))
const asked = []
const desk = express().use(express.json())
const answering = f => async (q, s) => { try { asked.push(q.path + ' ' + (q.body?.paymentPayload?.payload?.type ?? '')); s.json(await f(q.body)) } catch (e) { s.status(500).json({ error: e.message }) } }
desk.post('/verify', answering(b => facilitator.verify(b.paymentPayload, b.paymentRequirements)))
desk.post('/settle', answering(b => facilitator.settle(b.paymentPayload, b.paymentRequirements)))
desk.get('/supported', answering(() => facilitator.getSupported()))
const client = new HTTPFacilitatorClient({ url: `http://127.0.0.1:${await listening(desk)}` })

const selling = new Selling(payee.address, {})
let charge = '40000'
const shop = express()
shop.use(paymentMiddleware({ 'GET /minute': { accepts: [{ scheme: 'batch-settlement', network, payTo: payee.address, price: '$0.05', maxTimeoutSeconds: 3600 }] } }, new x402ResourceServer(client).register(network, selling)))
shop.get('/minute', (q, s) => { setSettlementOverrides(s, { amount: charge }); s.json({ minute: 1 }) })
const url = `http://127.0.0.1:${await listening(shop)}/minute`

const paying = new Paying(toClientEvmSigner(payer, wallet))
const pay = wrapFetchWithPayment(fetch, new x402Client().register('eip155:*', paying))
const minute = async () => {
  asked.length = 0
  const r = await pay(url), receipt = r.headers.get('PAYMENT-RESPONSE')
  return { status: r.status, ...(receipt ? JSON.parse(Buffer.from(receipt, 'base64')) : {}) }
}
let id
const state = async () => { const [balance, claimed] = await channels.read.channels(id); return [balance, claimed] }

await test('the first request deposits, and is served', async () => {
  const before = await has(payer), said = await minute()
  equal('served', [said.status, said.success, said.amount, said.extra?.chargedAmount], [200, true, '500000', '40000'])
  id = said.extra.channelState.channelId
  equal('deposited', [before - await has(payer), await has(channelsAt), await state()], [500000n, 500000n, [500000n, 0n]])
})
await test('the next ones are vouchers: nothing is sent to the chain', async () => {
  const said = await minute()
  equal('served', [said.status, said.transaction, said.extra?.channelState?.chargedCumulativeAmount], [200, '', '80000'])
  charge = '10000'
  equal('for less than was allowed', (await minute()).extra?.channelState?.chargedCumulativeAmount, '90000')
  check('no settlement was asked for', !asked.some(a => a.startsWith('/settle')), asked)
  equal('the contract knows nothing of it', await state(), [500000n, 0n])
})
const manager = selling.createChannelManager(client, network)
await test('the server claims what was charged, not what was allowed', async () => {
  equal('of one channel', (await manager.claim()).map(c => c.vouchers), [1])
  equal('claimed', await state(), [500000n, 90000n])
})
await test('and settles it', async () => {
  const before = await has(payee)
  await manager.settle()
  equal('paid', await has(payee) - before, 90000n)
})
await test('the client asks for the rest back, and has it', async () => {
  const before = await has(payer), said = await paying.refund(url)
  equal('said', [said.success, said.amount, said.extra?.channelState?.refundNonce], [true, '410000', '1'])
  equal('moved', [await has(payer) - before, await has(channelsAt), await state()], [410000n, 0n, [90000n, 90000n]])
})
await test('the same channel is filled again, charged, claimed and refunded in one', async () => {
  charge = '50000'
  const said = await minute()
  equal('served', [said.status, said.extra?.channelState?.channelId], [200, id])
  const before = [await has(payer), await has(payee)]
  const back = await paying.refund(url)
  equal('back', [back.success, BigInt(back.amount) === await has(payer) - before[0]], [true, true])
  equal('the last minute was claimed first', (await state())[1], 140000n)
  await manager.settle()
  equal('paid', await has(payee) - before[1], 50000n)
  equal('the contract has nothing more', await has(channelsAt), 0n)
})
await test('without the server the client withdraws, after the delay', async () => {
  await minute()
  const config = { payer: payer.address, payerAuthorizer: payer.address, receiver: payee.address, receiverAuthorizer: settler.address, token: dollar, withdrawDelay: 900, salt: '0x' + '0'.repeat(64) }
  equal('its channel', await channels.read.getChannelId(config), id)
  const [balance, claimed] = await state(), before = await has(payer)
  await channels.send(payer).initiateWithdraw(config, balance - claimed)
  await later(901)
  await channels.send(payer).finalizeWithdraw(config)
  equal('back', await has(payer) - before, balance - claimed)
})
verdict()
