// node chain.mjs PACKAGES CONTRACTS PORT [BLOCK_SECONDS]: a chain on loopback that the official x402 packages know (84532), its dollar and the
// contracts of its channels and permits where they look for them, and an escrow. Says "ready" when it is, and ends with its standard input, if that is a pipe. Without
// BLOCK_SECONDS every transaction is a block.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

export const dollar = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'
const [packages, contracts, port, blockSeconds] = process.argv.slice(2)
const url = `http://127.0.0.1:${port}`

export async function rpc(method, ...params) {
  const r = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) })
  const said = await r.json()
  if (said.error) throw new Error(`${method}: ${said.error.message}`)
  return said.result
}
const word = n => '0x' + BigInt(n).toString(16).padStart(64, '0')
// A text of up to 31 bytes, as Solidity keeps it: its bytes, and twice its length in the last one.
const kept = text => '0x' + Buffer.from(text).toString('hex').padEnd(62, '0') + (2 * text.length).toString(16).padStart(2, '0')

const anvil = spawn(path.join(packages, 'node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil'),
  ['--host', '127.0.0.1', '--port', port, '--chain-id', '84532', '--silent', ...(blockSeconds ? ['--block-time', blockSeconds] : [])], { stdio: 'ignore' })
const end = () => { anvil.kill('SIGKILL'); process.exit(0) }
anvil.on('exit', code => { console.error(`the chain ended (${code})`); process.exit(1) })
if (fs.fstatSync(0).isFIFO()) process.stdin.on('end', end).resume()
process.on('SIGTERM', end)

for (let tries = 0; ; ++tries) {
  try { await rpc('eth_chainId'); break } catch (e) { if (tries > 300) throw e }
  await new Promise(r => setTimeout(r, 50))
}
const placed = { DevelopmentDollar: dollar, Channels: '0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003',
  AuthorizedDeposits: '0x4020806089470a89826cB9fB1f4059150b550004', Multicall: '0xcA11bde05977b3631167028862bE2a173976CA11',
  Permits: '0x000000000022D473030F116dDEE9F6B43aC78BA3', ExactPermitProxy: '0x402085c248EeA27D92E8b30b2C58ed07f9E20001',
  UptoPermitProxy: '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002',
  Escrow: '0xe5c0e5c0e5c0e5c0e5c0e5c0e5c0e5c0e5c0e5c0' }
for (const [name, at] of Object.entries(placed))
  await rpc('anvil_setCode', at, JSON.parse(fs.readFileSync(path.join(contracts, name + '.json'))).deployed)
await rpc('anvil_setStorageAt', dollar, word(0), kept('USDC'))
await rpc('anvil_setStorageAt', dollar, word(1), kept('2'))
console.log('ready')
