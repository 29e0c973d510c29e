// node compile.mjs PACKAGES OUT [FOLDER...]: what is compiled of the contracts beside this file and in each FOLDER, one JSON a contract: {abi, code,
// deployed}. PACKAGES is a directory with `solc` of npm in its node_modules; its version is the lock file's (tests/x402).
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'

const [packages, out, ...more] = process.argv.slice(2)
if (!out) throw new Error('usage: compile.mjs PACKAGES OUT [FOLDER...]')
const solc = createRequire(path.join(path.resolve(packages), 'package.json'))('solc')
const here = path.dirname(new URL(import.meta.url).pathname)

const sources = {}
for (const folder of [here, ...more])
  for (const file of fs.readdirSync(folder).filter(f => f.endsWith('.sol'))) sources[file] = { content: fs.readFileSync(path.join(folder, file), 'utf8') }
const settings = {
  evmVersion: 'paris', // no younger opcodes: it runs where the chain has not been upgraded
  optimizer: { enabled: true, runs: 200 },
  viaIR: true,
  metadata: { bytecodeHash: 'none' },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
}
const made = JSON.parse(solc.compile(JSON.stringify({ language: 'Solidity', sources, settings }), { import: file => sources[file] ? { contents: sources[file].content } : { error: 'no such file' } }))
const bad = (made.errors ?? []).filter(e => e.severity === 'error')
for (const e of bad) console.error(e.formattedMessage)
if (bad.length) process.exit(1)
fs.mkdirSync(out, { recursive: true })
for (const contracts of Object.values(made.contracts))
  for (const [name, c] of Object.entries(contracts))
    fs.writeFileSync(path.join(out, name + '.json'), JSON.stringify({ abi: c.abi, code: '0x' + c.evm.bytecode.object, deployed: '0x' + c.evm.deployedBytecode.object }))
