// served.mjs SOUK DIRECTORY: a node's repository, over its own door, read by the official packages as any relay or app would.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { IdResolver } from '@atproto/identity'
import { verifyRecords, verifyRepoCar } from '@atproto/repo'
import { Firehose, MemoryRunner } from '@atproto/sync'

const [souk, work] = process.argv.slice(2)
const home = join(work, 'bob')
rmSync(home, { recursive: true, force: true })
mkdirSync(home, { recursive: true })
const port = await new Promise((done) => {
  const one = createServer().listen(0, '127.0.0.1', () => {
    const { port } = one.address()
    one.close(() => done(port))
  })
})
const url = `http://127.0.0.1:${port}`
writeFileSync(join(home, 'souk.toml'), `
[node]
name = "bob"
owner = "bob"
roles = ["signer"]
[identity]
method = "plc"
handle = "bob.test"
[door]
listen = "127.0.0.1:${port}"
public = "${url}"
[network]
plc_directory = "${url}"
allow_private = true
`)
const log = openSync(join(home, 'log'), 'a')
const node = spawn(souk, ['node', '--config', join(home, 'souk.toml')], { stdio: ['ignore', log, log] })
process.on('exit', () => node.kill())
const until = async (what, holds) => {
  for (let i = 0; i < 200; i++) {
    const found = await holds()
    if (found) return found
    await pause(100)
  }
  throw new Error(`in vain: ${what}`)
}
const command = (...args) => {
  const ran = spawnSync(souk, ['--node', home, '--json', ...args], { encoding: 'utf8' })
  assert.equal(ran.status, 0, ran.stderr + ran.stdout)
  return ran.stdout
}
const xrpc = async (what) => {
  const answer = await fetch(`${url}/xrpc/com.atproto.sync.${what}`)
  assert.equal(answer.status, 200, await answer.clone().text())
  return answer
}
const { did } = await until('the node starts', () => fetch(`${url}/health`).then((r) => r.json()).catch(() => null))
const idResolver = new IdResolver({ plcUrl: url })
const { signingKey, handle } = await idResolver.did.resolveAtprotoData(did)
assert.equal(handle, 'bob.test')

// The official client follows the stream: it checks each commit's signature and proofs before it tells of a record.
const follow = (startCursor) => {
  const heard = [], errors = []
  const hose = new Firehose({
    service: url.replace('http', 'ws'),
    idResolver,
    runner: new MemoryRunner({ startCursor }),
    handleEvent: (event) => void heard.push(event),
    onError: (error) => void errors.push(error),
  })
  hose.start()
  return { heard, errors, stop: () => hose.destroy() }
}
const subjects = Array.from({ length: 24 }, (_, i) => `did:plc:${'abcdefghijklmnopqrstuvwx'.slice(i)}${'abcdefghijklmnopqrstuvwx'.slice(0, i)}`)
const live = follow(0)
for (const one of subjects) command('vouch', one)
command('denounce', subjects[3])
command('forget', subjects[4])
const told = (from) => from.heard.filter((e) => ['create', 'update', 'delete'].includes(e.event)).map((e) => `${e.event} ${e.rkey}`)
const expected = [...subjects.map((s) => `create ${s}`), `update ${subjects[3]}`, `delete ${subjects[4]}`]
await until('the stream is followed', () => told(live).length >= expected.length)
assert.deepEqual(told(live), expected)
const denounced = live.heard.find((e) => e.event === 'update')
assert.equal(denounced.record.kind, 'denounce')
await live.stop()
assert.deepEqual(live.errors, [])
// Another, from where it stopped reading half-way.
const half = live.heard.find((e) => e.rkey === subjects[11]).seq
const later = follow(half)
await until('the stream goes on from a cursor', () => told(later).length >= expected.length - 12)
assert.deepEqual(told(later), expected.slice(12))
await later.stop()
console.log(`${expected.length} changes followed by @atproto/sync, live and from a cursor`)

// The whole, one record's proof, and one's absence.
const car = new Uint8Array(await (await xrpc(`getRepo?did=${did}`)).arrayBuffer())
const { creates, commit } = await verifyRepoCar(car, did, signingKey)
assert.deepEqual(creates.map((c) => c.rkey).sort(), subjects.filter((_, i) => i !== 4).sort())
const latest = await (await xrpc(`getLatestCommit?did=${did}`)).json()
assert.equal(latest.rev, commit.rev)
const { repos } = await (await xrpc('listRepos')).json()
assert.deepEqual(repos, [{ did, head: latest.cid, rev: latest.rev, active: true }])
const proof = async (rkey) => new Uint8Array(await (await xrpc(`getRecord?did=${did}&collection=sh.tangled.graph.vouch&rkey=${rkey}`)).arrayBuffer())
assert.deepEqual((await verifyRecords(await proof(subjects[7]), did, signingKey)).map((r) => r.rkey).includes(subjects[7]), true)
assert.deepEqual((await verifyRecords(await proof(subjects[4]), did, signingKey)).map((r) => r.rkey).includes(subjects[4]), false)
console.log(`${creates.length} records of the export verified by @atproto/repo`)
node.kill()
process.exit(0)
