// check.mjs SOUK DIRECTORY: a node's did:plc at the reference directory, with the reference library as everybody else.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import crypto from '@atproto/crypto'
import plc from '@did-plc/lib'
import { Database, PlcServer } from '@did-plc/server'

const [souk, work] = process.argv.slice(2)
const home = join(work, 'bob')
rmSync(home, { recursive: true, force: true })
mkdirSync(home, { recursive: true })
const free = () => new Promise((done) => {
  const one = createServer().listen(0, '127.0.0.1', () => {
    const { port } = one.address()
    one.close(() => done(port))
  })
})
const until = async (what, holds) => {
  for (let i = 0; i < 300; i++) {
    const found = await holds()
    if (found) return found
    await pause(100)
  }
  throw new Error(`in vain: ${what}`)
}
const k256 = () => crypto.Secp256k1Keypair.create()

const db = Database.mock()
const plcPort = await free()
let directory = PlcServer.create({ db, port: plcPort })
await directory.start()
const directoryUrl = `http://127.0.0.1:${plcPort}`
const client = new plc.Client(directoryUrl)

// -- a node of ours ----------------------------------------------------------------------------------------------------------------------
const port = await free()
const recovery = await k256()
let node
const start = (handle, services) => {
  writeFileSync(join(home, 'souk.toml'), `
[node]
name = "bob"
owner = "bob"
roles = ["signer"]
[identity]
method = "plc"
handle = "${handle}"
publish = true
seal = false # the reference directory takes k256 and P-256 keys alone
recovery = ["${recovery.did()}"]
services = { ${services} }
[door]
listen = "127.0.0.1:${port}"
public = "http://localhost:${port}"
[network]
plc_directory = "${directoryUrl}"
allow_private = true
hosts = { "alice.test" = "127.0.0.1:1" }
`)
  const log = openSync(join(home, 'log'), 'a')
  node = spawn(souk, ['node', '--config', join(home, 'souk.toml')], { stdio: ['ignore', log, log] })
}
const stop = async () => {
  const ended = new Promise((done) => node.once('exit', done))
  node.kill()
  await ended
}
process.on('exit', () => node?.kill('SIGKILL'))
const command = (...args) => spawnSync(souk, ['--node', home, '--json', ...args], { encoding: 'utf8' })
const keys = () => {
  const ran = command('keys')
  return ran.status === 0 ? JSON.parse(ran.stdout) : null
}
const stands = (how) => until(`the directory ${how}`, async () => {
  const now = keys()
  return now?.log.standing === how && now
})
const resolve = (did) => new Promise((done, fail) => {
  request({ socketPath: join(home, 'control.sock'), path: `/v1/resolve?did=${encodeURIComponent(did)}` }, (r) => {
    let text = ''
    r.on('data', (part) => (text += part)).on('end', () => done(JSON.parse(text)))
  }).on('error', fail).end()
})
const inspect = async (did) => {
  const file = join(work, 'log.json')
  writeFileSync(file, JSON.stringify(await client.getAuditableLog(did)))
  const ran = command('inspect', file)
  return { ...JSON.parse(ran.stdout), status: ran.status }
}

start('bob.test', '')
const born = await stands('agrees')
const { did } = born
let data = await client.getDocumentData(did)
assert.deepEqual(data.alsoKnownAs, ['at://bob.test'])
assert.equal(data.verificationMethods.atproto, born.signing_key)
assert.equal(data.rotationKeys[0], recovery.did())
assert.equal(data.services.atproto_pds.endpoint, `http://localhost:${port}`)
assert.equal((await plc.validateOperationLog(did, await client.getOperationLog(did))).did, did)
console.log(`${did} is at the reference directory`)
// Its own door tells the same, in the same words.
const door = new plc.Client(`http://127.0.0.1:${port}`)
assert.deepEqual(await door.getOperationLog(did), await client.getOperationLog(did))
assert.deepEqual((await door.getAuditableLog(did)).map((e) => e.cid), (await client.getAuditableLog(did)).map((e) => e.cid))
assert.deepEqual(await door.getLastOp(did), await client.getLastOp(did))
await stop()

// Killed while the directory is away, with a change to tell: it goes on, and tells it when the directory is back.
await directory.destroy()
start('bobby.test', 'pdr_temp_market = "PDRTempMarket https://market.example"')
const alone = await until('the node goes on alone', async () => keys())
assert.equal(alone.log.operations, 2)
node.kill('SIGKILL')
await pause(300)
start('bobby.test', 'pdr_temp_market = "PDRTempMarket https://market.example"')
directory = PlcServer.create({ db, port: plcPort })
await directory.start()
assert.equal((await stands('agrees')).log.head, alone.log.head)
data = await client.getDocumentData(did)
assert.deepEqual(data.alsoKnownAs, ['at://bobby.test'])
assert.deepEqual(data.services.pdr_temp_market, { type: 'PDRTempMarket', endpoint: 'https://market.example' })
assert.equal((await client.getAuditableLog(did)).length, 2)
await stop()
console.log('an update was told once, through a kill and a directory that was away')

// The recovery key takes it back; the node takes that over, and says on top of it what it is configured to say.
const [genesis] = await client.getOperationLog(did)
const safe = await plc.updateHandleOp(genesis, recovery, 'safe.test')
await client.sendOperation(did, safe)
const log = await client.getAuditableLog(did)
assert.deepEqual(log.map((e) => e.nullified), [false, true, false])
const seen = await inspect(did)
assert.equal(seen.verdict, 'good')
assert.deepEqual(seen.operations.map((o) => o.nullified), [false, true, false])
assert.equal(seen.head, log[2].cid)
log[1].nullified = false // a directory that says otherwise than the rules
writeFileSync(join(work, 'log.json'), JSON.stringify(log))
assert.equal(command('inspect', join(work, 'log.json')).status, 1)
start('safe.test', '')
await stands('replaced')
await stop()
start('safest.test', '')
const again = await stands('agrees')
assert.equal(again.log.operations, 3)
assert.deepEqual((await client.getDocumentData(did)).alsoKnownAs, ['at://safest.test'])
console.log('a nullification by @did-plc/lib was taken over')

// Another signing key: named by the log first, in force after that, and the old one still listed.
const one = again.signing_key
const { next_key: two } = JSON.parse(command('keys', 'rotate').stdout)
assert.notEqual(two, one)
await stop()
start('safest.test', '')
const named = await stands('agrees')
assert.deepEqual([named.signing_key, named.log.next_key, named.log.restart], [one, two, false])
await stop()
// As if ten minutes had gone by since: until then others may remember a document without it.
const file = join(home, 'plc.json')
const earlier = JSON.parse(readFileSync(file)).map((e) => ({ ...e, createdAt: new Date(Date.parse(e.createdAt) - 601_000).toISOString() }))
writeFileSync(file, JSON.stringify(earlier))
start('safest.test', '')
await until('the next key is put in force', () => keys()?.log.restart)
data = await client.getDocumentData(did)
assert.deepEqual([data.verificationMethods.atproto, data.verificationMethods['attestation-1']], [one, two])
assert.equal(keys().signing_key, one)
await stop()
start('safest.test', '')
assert.equal((await stands('agrees')).signing_key, two)
data = await client.getDocumentData(did)
assert.deepEqual([data.verificationMethods.atproto, data.verificationMethods['attestation-1']], [two, one])
assert.equal(JSON.parse(command('keys', 'drop-old').stdout).dropped, 1)
await stop()
start('safest.test', '')
await stands('agrees')
data = await client.getDocumentData(did)
assert.deepEqual(Object.values(data.verificationMethods), [two, two])
assert.equal((await inspect(did)).verdict, 'good')
console.log('the signing key was rotated')

// -- others' logs -------------------------------------------------------------------------------------------------------------------------
const create = async (rotation) => {
  const signing = await k256()
  const alice = await client.createDid({ signingKey: signing.did(), handle: 'alice.test', pds: 'https://alice.example', rotationKeys: [rotation.did()], signer: rotation })
  const [{ sig }] = await client.getOperationLog(alice)
  return { alice, signing, sig: Buffer.from(sig, 'base64url') }
}
const check = async ({ alice, signing }) => {
  const doc = await resolve(alice)
  assert.equal(doc.id, alice, JSON.stringify(doc))
  assert.deepEqual(doc.alsoKnownAs, ['at://alice.test'])
  assert.equal(doc.verificationMethod[0].publicKeyMultibase, signing.did().slice('did:key:'.length))
}
const someone = await create(await k256())
await check(someone)
// Nobody answers for the name that it claims: it is not shown as its.
const shown = JSON.parse(command('who', someone.alice).stdout)
assert.deepEqual([shown.did, shown.handle, shown.claims], [someone.alice, 'handle.invalid', ['alice.test']])
// This library's P-256 signatures have a high s half of the time, and this directory takes them: the specification does not, so neither do we.
const half = Buffer.from('7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8', 'hex')
const p256 = await crypto.EcdsaKeypair.create()
for (const seen = new Set(); seen.size < 2; ) {
  const one = await create(p256)
  const low = Buffer.compare(one.sig.subarray(32), half) <= 0
  if (seen.has(low)) continue
  seen.add(low)
  if (low) await check(one)
  else assert.equal((await resolve(one.alice)).error, 'bad_plc_log')
}
const [old, fresh, top] = [await k256(), await k256(), await k256()]
const many = await client.createDid({ signingKey: old.did(), handle: 'many.test', pds: 'https://many.example', rotationKeys: [top.did(), old.did()], signer: old })
await client.updateHandle(many, old, 'more.test')
await client.updateAtprotoKey(many, old, fresh.did())
await client.updateRotationKeys(many, old, [top.did(), fresh.did()])
await client.updatePds(many, fresh, 'https://most.example')
let doc = await resolve(many)
assert.deepEqual(doc.alsoKnownAs, ['at://more.test'])
assert.equal(doc.service[0].serviceEndpoint, 'https://most.example')
assert.equal(doc.verificationMethod[0].publicKeyMultibase, fresh.did().slice('did:key:'.length))
// All but the first operation nullified, then given up, then that taken back.
const lost = await client.createDid({ signingKey: old.did(), handle: 'lost.test', pds: 'https://lost.example', rotationKeys: [top.did(), old.did()], signer: old })
const [first] = await client.getOperationLog(lost)
for (const name of ['a.test', 'b.test', 'c.test']) await client.updateHandle(lost, old, name)
await client.sendOperation(lost, await plc.updateHandleOp(first, top, 'found.test'))
assert.deepEqual((await resolve(lost)).alsoKnownAs, ['at://found.test'])
const gone = await client.createDid({ signingKey: old.did(), handle: 'gone.test', pds: 'https://gone.example', rotationKeys: [top.did(), old.did()], signer: old })
await client.tombstone(gone, old)
assert.equal((await resolve(gone)).error, 'did_given_up')
// The legacy form: only a directory's own past has it.
const legacy = await plc.deprecatedSignCreate({ type: 'create', signingKey: old.did(), recoveryKey: top.did(), handle: 'legacy.test', service: 'https://legacy.example', prev: null }, old)
const legacyDid = await plc.didForCreateOp(legacy)
const { cid } = await plc.getLastOpWithCid([legacy])
db.contents[legacyDid] = [{ did: legacyDid, operation: legacy, cid, nullified: false, createdAt: new Date() }]
await client.sendOperation(legacyDid, await plc.updateHandleOp(legacy, top, 'modern.test'))
assert.deepEqual((await resolve(legacyDid)).alsoKnownAs, ['at://modern.test'])
assert.equal((await inspect(legacyDid)).operations.length, 2)
assert.equal((await resolve('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')).error, 'did_unresolved')
console.log('the logs by @did-plc/lib were read')
await stop()

// Somebody with the recovery key gives the node's DID up.
await client.tombstone(did, recovery)
start('safest.test', '')
await stands('given up')
await stop()
console.log('given up, and said to be')
await directory.destroy()
process.exit(0)
