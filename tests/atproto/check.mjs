// check.mjs PEER DIRECTORY [SEED]: repositories of Souk's read by the official packages, and repositories of theirs read by Souk.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import * as cbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto'
import { jsonToLex, lexToJson } from '@atproto/lexicon'
import {
  MST, MemoryBlockstore, Repo, WriteOpAction, blocksToCarFile, cidForRecord, getFullRepo, readCarWithRoot, verifyProofs, verifyRepoCar,
} from '@atproto/repo'

const [peer, work, seed = '20260509'] = process.argv.slice(2)
rmSync(work, { recursive: true, force: true })
mkdirSync(work, { recursive: true })
console.log(`seed ${seed}`)

const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
const keypair = await Secp256k1Keypair.create({ exportable: true })
const key = Buffer.from(await keypair.export()).toString('hex')

// Numbers that the seed alone decides.
let drawn = 0
const draw = (below) => createHash('sha256').update(`${seed} ${drawn++}`).digest().readUInt32BE() % below

const collections = ['app.bsky.feed.post', 'app.bsky.feed.like', 'com.example.a', 'com.example.ab', 'com.publicdomainrelay.ccb']
const alphabet = '234567abcdefghijklmnopqrstuvwxyz'
const rkey = () => '3' + Array.from({ length: 12 }, () => alphabet[draw(32)]).join('')
const some_path = () => ({ collection: collections[draw(collections.length)], rkey: draw(20) === 0 ? `self.${draw(3)}:~_-` : rkey() })
const some_record = (collection) => {
  const n = draw(1 << 30)
  return {
    $type: collection, text: `h\u00e9llo \u{1f30d} ${n}`, createdAt: '2026-05-09T07:42:10.123Z', n: draw(2) ? n : -n, yes: draw(2) === 0, none: null,
    list: Array.from({ length: draw(30) }, (_, i) => i * n), deep: { bb: 1, a: { c: [[], {}] } }, big: Number.MAX_SAFE_INTEGER,
    bytes: { $bytes: Buffer.from(`${n}`).toString('base64').replace(/=+$/, '') }, link: { $link: 'bafyreie5cvv4h45feadgeuwhbcutmh6t2ceseocckahdoe6uat64zmz454' },
  }
}
const name = (w) => `${w.collection}/${w.rkey}`

// Commits of random writes: [[{action, collection, rkey, record?}]]
const some_commits = (first, count, most) => {
  const there = new Map()
  return Array.from({ length: count }, (_, i) => {
    const writes = [], touched = new Set()
    for (let n = i === 0 ? first : 1 + draw(most); n > 0; n--) {
      const old = there.size > 0 && i > 0 && draw(2) > 0 ? [...there.values()][draw(there.size)] : undefined
      const at = old ?? some_path()
      if (touched.has(name(at))) continue
      touched.add(name(at))
      const action = !there.has(name(at)) ? WriteOpAction.Create : draw(3) ? WriteOpAction.Update : WriteOpAction.Delete
      if (action === WriteOpAction.Delete) there.delete(name(at))
      else there.set(name(at), at)
      writes.push({ action, ...at, ...(action === WriteOpAction.Delete ? {} : { record: some_record(at.collection) }) })
    }
    return writes
  })
}

const ask = (args, input = '') => {
  const ran = spawnSync(peer, args, { input, maxBuffer: 1 << 28, encoding: 'utf8' })
  if (ran.error) throw ran.error
  return { status: ran.status, said: ran.stdout.split('\n').filter(Boolean).map((l) => JSON.parse(l)), errors: ran.stderr }
}
const must = (ran) => (assert.equal(ran.status, 0, ran.errors + JSON.stringify(ran.said.at(-1))), ran.said)

// An event's frame is two CBOR items in a row; the first is of known bytes.
const head = cbor.encode({ op: 1, t: '#commit' })
const body_of = (frame) => {
  assert.deepEqual(frame.subarray(0, head.length), Buffer.from(head))
  return cbor.decode(frame.subarray(head.length))
}

const leaves_of = async (storage, data) => {
  const out = {}
  for (const leaf of await MST.load(storage, data).leaves()) out[leaf.key] = leaf.value.toString()
  return out
}

// -- made by Souk, read by the official packages --------------------------------------------------------------------

const read_ours = async (label, commits) => {
  const prefix = join(work, label)
  const lines = [{ did, key }]
  const expected = {}
  for (const writes of commits) {
    for (const w of writes) {
      lines.push({ path: name(w), record: w.record ?? null })
      if (w.record) expected[name(w)] = (await cidForRecord(jsonToLex(w.record))).toString()
      else delete expected[name(w)]
    }
    lines.push({ commit: true })
  }
  const [made] = must(ask(['make', prefix], lines.map((l) => JSON.stringify(l)).join('\n') + '\n'))
  assert.deepEqual({ ...made.records }, expected, 'the CIDs of the records')

  const car = readFileSync(`${prefix}.car`)
  const { root, blocks } = await readCarWithRoot(car)
  assert.equal(root.toString(), made.root)
  const verified = await verifyRepoCar(car, did, keypair.did())
  assert.equal(verified.commit.rev, made.rev)
  assert.deepEqual(Object.fromEntries(verified.creates.map((c) => [name(c), c.cid.toString()])), expected)
  const storage = new MemoryBlockstore(blocks)
  const commit = await storage.readObj(root, { name: 'commit', schema: { safeParse: (data) => ({ success: true, data }) } })
  assert.equal(commit.data.toString(), made.data)
  assert.deepEqual(await leaves_of(storage, commit.data), expected)
  // The same records in a tree of theirs.
  let tree = await MST.create(new MemoryBlockstore())
  for (const [path, id] of Object.entries(expected)) tree = await tree.add(path, CID.parse(id))
  assert.equal((await tree.getPointer()).toString(), made.data, 'the data CID')
  for (const [path, record] of commits.at(-1).filter((w) => w.record).map((w) => [name(w), w.record]))
    assert.deepEqual(lexToJson(await storage.readRecord(CID.parse(expected[path]))), lexToJson(jsonToLex(record)))
  await assert.rejects(verifyRepoCar(car, did, (await Secp256k1Keypair.create()).did()))

  // Each commit's frame: signed, proved, and undone by their tree it is the one before.
  let before = (await (await MST.create(new MemoryBlockstore())).getPointer()).toString()
  for (let i = 1; i <= commits.length; i++) {
    const frame = readFileSync(`${prefix}.${i}.frame`)
    const body = body_of(frame)
    assert.deepEqual(Buffer.concat([head, cbor.encode(body)]), frame, 'the frame is canonical')
    assert.equal(body.prevData.toString(), before)
    const claims = body.ops.map((o) => ({ collection: o.path.split('/')[0], rkey: o.path.split('/')[1], cid: o.cid }))
    const proved = await verifyProofs(body.blocks, claims, did, keypair.did())
    assert.equal(proved.verified.length, claims.length, 'their proofs')
    const carried = await readCarWithRoot(body.blocks)
    assert.equal(carried.root.toString(), body.commit.toString())
    const partial = new MemoryBlockstore(carried.blocks)
    const data = cbor.decode(carried.blocks.get(body.commit)).data
    let undone = MST.load(partial, data)
    for (const o of body.ops.filter((o) => o.action === 'delete')) undone = await undone.add(o.path, o.prev)
    for (const o of body.ops.filter((o) => o.action === 'update')) undone = await undone.update(o.path, o.prev)
    for (const o of body.ops.filter((o) => o.action === 'create')) undone = await undone.delete(o.path)
    assert.equal((await undone.getPointer()).toString(), before, 'undone by their tree')
    before = data.toString()
  }
  must(ask(['follow', keypair.did(), ...commits.map((_, i) => `${prefix}.${i + 1}.frame`)]))
  console.log(`${label}: ${Object.keys(expected).length} records in ${commits.length} commits of ours, read by @atproto/repo`)
}

// -- made by the official packages, read by Souk --------------------------------------------------------------------

const car_of = async (stream) => {
  const parts = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

const read_theirs = async (label, commits, keypair) => {
  const lex = (writes) => writes.map((w) => (w.record ? { ...w, record: jsonToLex(w.record) } : w))
  const storage = new MemoryBlockstore()
  let repo = await Repo.create(storage, did, keypair, lex(commits[0]))
  const frames = []
  for (const writes of commits.slice(1)) {
    const before = repo
    const ops = []
    for (const w of writes) {
      const prev = await before.data.get(name(w))
      ops.push({ action: w.action, path: name(w), cid: w.record ? await cidForRecord(jsonToLex(w.record)) : null, ...(prev ? { prev } : {}) })
    }
    const made = await repo.formatCommit(lex(writes), keypair)
    repo = await repo.applyCommit(made)
    const file = join(work, `${label}.${frames.length + 1}.frame`)
    const body = {
      seq: frames.length + 1, rebase: false, tooBig: false, repo: did, commit: made.cid, rev: made.rev, since: made.since, ops, blobs: [],
      blocks: await blocksToCarFile(made.cid, made.relevantBlocks), time: '2026-05-09T07:42:10.123Z', prevData: await before.data.getPointer(),
    }
    writeFileSync(file, Buffer.concat([head, cbor.encode(body)]))
    frames.push({ file, rev: made.rev, data: (await repo.data.getPointer()).toString(), ops })
  }
  const car = await car_of(getFullRepo(storage, repo.cid))
  const file = join(work, `${label}.car`)
  writeFileSync(file, car)
  const [read] = must(ask(['import', file, did, keypair.did()]))
  const data = repo.commit.data.toString()
  assert.deepEqual([read.root, read.rev, read.data, read.rebuilt], [repo.cid.toString(), repo.commit.rev, data, data])
  assert.deepEqual({ ...read.records }, await leaves_of(storage, repo.commit.data))

  const said = must(ask(['follow', keypair.did(), ...frames.map((f) => f.file)]))
  assert.deepEqual(
    said.map(({ rev, data, same, ops }) => ({ rev, data, same, ops })),
    frames.map((f) => ({ rev: f.rev, data: f.data, same: true, ops: Object.fromEntries(f.ops.map((o) => [o.path, o.cid?.toString() ?? '']).sort((a, b) => a[0].length - b[0].length)) })),
  )

  // What is not theirs is refused.
  assert.equal(ask(['import', file, 'did:plc:bob', keypair.did()]).said[0].refused, 'wrong_did')
  assert.equal(ask(['import', file, did, (await Secp256k1Keypair.create()).did()]).said[0].refused, 'bad_signature')
  const broken = Buffer.from(car)
  broken[broken.length - 5] ^= 1
  writeFileSync(file, broken)
  assert.equal(ask(['import', file, did, keypair.did()]).said[0].refused, 'cid_mismatch')
  if (frames.length > 2) assert.equal(ask(['follow', keypair.did(), frames[0].file, frames[2].file]).said.at(-1).refused, 'commit_gap')
  console.log(`${label}: ${Object.keys(read.records).length} records in ${commits.length} commits of theirs, read here`)
}

await read_ours('ours-none', [[]])
await read_ours('ours-one', some_commits(1, 1, 1))
await read_ours('ours-small', some_commits(5, 40, 3))
await read_ours('ours-middle', some_commits(150, 30, 40))
await read_theirs('theirs-none', [[]].concat(some_commits(1, 1, 1)), keypair)
await read_theirs('theirs-small', some_commits(5, 40, 3), keypair)
await read_theirs('theirs-p256', some_commits(5, 40, 3), await P256Keypair.create())
await read_theirs('theirs-middle', some_commits(200, 30, 40), keypair)
await read_theirs('theirs-large', some_commits(2000, 5, 150), keypair)
