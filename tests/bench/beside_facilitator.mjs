// node beside_facilitator.mjs WHAT ARGUMENTS: the load, with one wallet whose payments are all signed beforehand.
//   ask NAME FACILITATOR RPC PAYEE KEY   verifications and settlements a second by one facilitator
//   pay NAME SHOP PAYEE KEY              what a payment adds to a request, at an official shop
import fs from 'node:fs'
import crypto from 'node:crypto'
import { privateKeyToAccount } from 'viem/accounts'

const [what, name, at, ...rest] = process.argv.slice(2)
const dollar = '0x036CbD53842c5426634e7929541eC2318f3dCF7e', network = 'eip155:84532'
const key = fs.readFileSync(rest.at(-1), 'utf8').trim(), account = privateKeyToAccount(key.startsWith('0x') ? key : '0x' + key)
const payee = rest.at(-2)
let offered = { scheme: 'exact', network, amount: '10000', asset: dollar, payTo: payee, maxTimeoutSeconds: 3600, extra: { name: 'USDC', version: '2' } }
const fields = Object.entries({ from: 'address', to: 'address', value: 'uint256', validAfter: 'uint256', validBefore: 'uint256', nonce: 'bytes32' }).map(([name, type]) => ({ name, type }))
async function payment() {
  const now = Math.floor(Date.now() / 1000)
  const authorization = { from: account.address, to: payee, value: '10000', validAfter: `${now - 600}`, validBefore: `${now + offered.maxTimeoutSeconds - 10}`, nonce: '0x' + crypto.randomBytes(32).toString('hex') }
  const signature = await account.signTypedData({ domain: { name: 'USDC', version: '2', chainId: 84532, verifyingContract: dollar }, types: { TransferWithAuthorization: fields },
    primaryType: 'TransferWithAuthorization', message: authorization })
  return { x402Version: 2, accepted: offered, payload: { signature, authorization } }
}
const some = n => Promise.all(Array.from({ length: n }, payment))
const median = all => all.sort((a, b) => a - b)[Math.floor(all.length / 2)]
const say = (what, figure) => console.log(`${name.padEnd(10)}${what.padEnd(46)}${figure}`)

// All of them, so many at once; how many a second, and how many were not answered as they should.
async function all(payments, atOnce, one) {
  const left = [...payments], wrong = {}
  const from = performance.now()
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let p; (p = left.pop());) {
      const why = await one(p).catch(e => e.message)
      if (why) wrong[why] = (wrong[why] ?? 0) + 1
    }
  }))
  return { rate: payments.length / ((performance.now() - from) / 1000), wrong }
}
const failures = wrong => { const n = Object.values(wrong).reduce((a, b) => a + b, 0); return `${n} failed` + (n ? ` (${Object.keys(wrong).join('; ').slice(0, 80)})` : '') }

if (what === 'ask') {
  const ask = async (path, p) => (await fetch(`${at}/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ x402Version: 2, paymentPayload: p, paymentRequirements: offered }) })).json()
  const verify = async p => { const r = await ask('verify', p); return r.isValid ? null : r.invalidReason ?? JSON.stringify(r) }
  // A settlement that is under way is asked for again, as the wire wants it; one that is refused is not.
  const settle = async p => {
    for (let tries = 0; ; ++tries) {
      const r = await ask('settle', p)
      if (r.success) return null
      if (r.errorReason !== 'settlement_pending' || tries > 30) return r.errorReason ?? JSON.stringify(r)
    }
  }
  await all(await some(32), 8, verify)
  const rates = []
  for (let run = 0; run < 5; ++run) rates.push(await all(await some(256), 16, verify))
  say('verified, 16 at once', `${median(rates.map(r => r.rate)).toFixed(0)}/s, ${failures(rates[0].wrong)}`)
  for (const atOnce of [1, 4, 64]) {
    const r = await all(await some(atOnce === 1 ? 8 : 4 * atOnce), atOnce, settle)
    const n = (atOnce === 1 ? 8 : 4 * atOnce), failed = Object.values(r.wrong).reduce((a, b) => a + b, 0)
    say(`settled, ${atOnce} at once, ${n} in all`, `${(r.rate * (n - failed) / n).toFixed(1)}/s, ${failures(r.wrong)}`)
  }
}

if (what === 'pay') {
  const times = { free: [], paid: [] }
  offered = JSON.parse(Buffer.from((await fetch(`${at}/paid`)).headers.get('payment-required'), 'base64').toString()).accepts[0]
  const timed = async (into, f) => { const from = performance.now(); const status = (await f()).status; if (status !== 200) throw new Error(`answered ${status}`); into.push(performance.now() - from) }
  for (const p of await some(60)) {
    await timed(times.free, () => fetch(`${at}/free`))
    await timed(times.paid, () => fetch(`${at}/paid`, { headers: { 'payment-signature': Buffer.from(JSON.stringify({ ...p, resource: { url: `${at}/paid` } })).toString('base64') } }))
  }
  say('a paid request less the same one unpaid', `${(median(times.paid) - median(times.free)).toFixed(1)} ms (${median(times.free).toFixed(1)} ms unpaid)`)
}
