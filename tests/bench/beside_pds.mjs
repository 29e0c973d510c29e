// node beside_pds.mjs PDS-URL: how many records a second the reference PDS creates, in the same three ways as `souk bench repository`.
const host = process.argv[2];
const post = async (nsid, body, token) => {
  const r = await fetch(`${host}/xrpc/${nsid}`, {
    method: 'POST', body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
  });
  if (!r.ok) throw new Error(await r.text());
  return r.json();
};
const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
const collection = 'sh.tangled.graph.vouch';
const record = (i) => ({ $type: collection, kind: 'vouch', reason: `number ${i}`, createdAt: '2026-01-01T00:00:00.000Z' });

const found = { turn: [], once: [], batched: [] };
for (let run = 0; run < 5; ++run) {
  const name = `bench${process.pid}x${run}`;
  const { did, accessJwt } = await post('com.atproto.server.createAccount', { handle: `${name}.test`, email: `${name}@example.test`, password: name });
  const create = (i) => post('com.atproto.repo.createRecord', { repo: did, collection, validate: false, record: record(i) }, accessJwt);
  let from = performance.now();
  for (let i = 0; i < 200; ++i) await create(i);
  found.turn.push(200 / ((performance.now() - from) / 1000));
  from = performance.now();
  await Promise.all(Array.from({ length: 16 }, async () => { for (let i = 0; i < 25; ++i) await create(i); }));
  found.once.push(400 / ((performance.now() - from) / 1000));
  from = performance.now();
  for (let i = 0; i < 5; ++i) {
    const writes = Array.from({ length: 200 }, (_, k) => ({ $type: 'com.atproto.repo.applyWrites#create', collection, value: record(k) }));
    await post('com.atproto.repo.applyWrites', { repo: did, validate: false, writes }, accessJwt);
  }
  found.batched.push(1000 / ((performance.now() - from) / 1000));
}
console.log(`one after another        ${median(found.turn).toFixed(0)}/s`);
console.log(`by 16 writers at once    ${median(found.once).toFixed(0)}/s`);
console.log(`200 at a time            ${median(found.batched).toFixed(0)}/s`);
