// What the tests of contracts share: a chain that is asked over JSON-RPC, its ten rich accounts, checks that are counted, numbers from a seed.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { createPublicClient, decodeErrorResult, decodeEventLog, encodeFunctionData, http } from 'viem'
import { baseSepolia } from 'viem/chains'
import { mnemonicToAccount } from 'viem/accounts'

export const [rpcUrl, contracts] = process.argv.slice(2)
export const compiled = name => JSON.parse(fs.readFileSync(path.join(contracts, name + '.json')))
export const dollar = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'
export const channelsAt = '0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003'
export const collectorAt = '0x4020806089470a89826cB9fB1f4059150b550004'
export const people = [...Array(10).keys()].map(addressIndex => mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex }))

export async function rpc(method, ...params) {
  const r = await fetch(rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) })
  const said = await r.json()
  if (said.error) throw Object.assign(new Error(`${method}: ${said.error.message}`), { data: said.error.data })
  return said.result
}
export const reader = createPublicClient({ chain: baseSepolia, transport: http(rpcUrl), pollingInterval: 20 })

let passed = 0, failed = 0
export function check(what, good, more = '') {
  if (good) ++passed
  else ++failed
  if (!good) console.log(`FAILED  ${what} ${more}`)
}
export function equal(what, got, wanted) {
  const text = x => JSON.stringify(x, (_, v) => typeof v === 'bigint' ? v.toString() + 'n' : v)
  check(what, text(got) === text(wanted), `got ${text(got)}, not ${text(wanted)}`)
}
// A group of checks under a sentence. What it throws fails it.
export async function test(sentence, body) {
  const before = failed
  try { await body() } catch (e) { check(sentence, false, e.stack) }
  console.log(`${failed === before ? 'ok      ' : 'FAILED  '}${sentence}`)
}
export function verdict() {
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed ? 1 : 0)
}

// A contract as one calls it: `read.f(...)`, `send(from).f(...)` that must be done, `refused(from).f(...)` that says by which error it is not.
export function contract(address, abi) {
  const each = f => new Proxy({}, { get: (_, functionName) => (...args) => f(functionName, args) })
  const data = (functionName, args) => encodeFunctionData({ abi, functionName, args })
  return {
    address, abi, data,
    read: each((functionName, args) => reader.readContract({ address, abi, functionName, args })),
    send: from => each((functionName, args) => transaction(from.address ?? from, address, data(functionName, args), abi)),
    refused: from => each(async (functionName, args) => {
      try {
        await rpc('eth_call', { from: from.address ?? from, to: address, data: data(functionName, args) }, 'latest')
        return 'done'
      } catch (e) {
        const reason = typeof e.data === 'string' ? e.data : e.data?.data
        try { const r = decodeErrorResult({ abi, data: reason }); return r.errorName === 'Error' ? r.args[0] : r.errorName } catch { return e.message }
      }
    }),
  }
}
// Its block is made at once, and a moment after it was sent; now and then, after time was turned back, not before somebody asks for one.
async function receiptOf(hash) {
  for (let tries = 1; tries < 5000; ++tries) {
    const receipt = await rpc('eth_getTransactionReceipt', hash)
    if (receipt) return receipt
    if (tries % 500 === 0) await rpc('evm_mine')
  }
  throw new Error(`no block has ${hash}`)
}
// Sends without asking first, so that what is refused has its block too. Anvil signs for the ten, and for whom it was told to impersonate.
let sent = 0 // no two are the same, even after time was turned back: the chain would take the second for the first
export async function transaction(from, to, data, abi, mustBeDone = true) {
  const hash = await rpc('eth_sendTransaction', { from, to, data, gas: '0x' + (3_000_000 + ++sent).toString(16) })
  const receipt = await receiptOf(hash)
  const done = receipt.status === '0x1'
  if (!done && mustBeDone) throw new Error(`a transaction to ${to} was reverted: ${data.slice(0, 10)}`)
  const events = receipt.logs.filter(l => l.address === to.toLowerCase()).map(l => { try { return decodeEventLog({ abi, ...l }) } catch { return null } }).filter(Boolean)
  return { done, events, gas: Number(receipt.gasUsed) }
}
export async function deploy(name, ...args) {
  const { abi, code } = compiled(name)
  const words = args.map(a => a.slice(2).padStart(64, '0')).join('')
  const hash = await rpc('eth_sendTransaction', { from: people[9].address, data: code + words, gas: '0x4c4b40' })
  return contract((await receiptOf(hash)).contractAddress, abi)
}
export const now = async () => Number((await rpc('eth_getBlockByNumber', 'latest', false)).timestamp)
export async function later(seconds) {
  await rpc('evm_increaseTime', seconds)
  await rpc('evm_mine')
}
export const snapshot = () => rpc('evm_snapshot')
export const back = to => rpc('evm_revert', to)

// The same numbers from the same seed: each is a hash of it and of how many came before.
export function random(seed) {
  let n = 0
  const next = () => createHash('sha256').update(`${seed}/${n++}`).digest().readUIntBE(0, 6) / 2 ** 48
  return { below: limit => Math.floor(next() * limit), one: list => list[Math.floor(next() * list.length)] }
}
export const bytes32 = n => '0x' + BigInt(n).toString(16).padStart(64, '0')
// The other signature of the same message, which no contract of ours takes.
export const mirrored = s => {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  return '0x' + s.slice(2, 66) + (order - BigInt('0x' + s.slice(66, 130))).toString(16).padStart(64, '0') + (s.slice(130) === '1b' ? '1c' : '1b')
}
