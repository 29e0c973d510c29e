// node escrow.mjs RPC CONTRACTS RECORD [SOUK_SEED, SOUK_OPERATIONS]: every rule and every refusal of Escrow.sol, on a chain. RECORD is what other tests
// hold our own writing of its calls against; SOUK_RECORD=1 writes it anew.
import fs from 'node:fs'
import { encodeEventTopics, hashTypedData, keccak256, toHex, zeroAddress } from 'viem'
import { back, bytes32, check, compiled, contract, deploy, dollar, equal, later, mirrored, now, people, random, rpc, snapshot, test, transaction, verdict } from './tools.mjs'

const [payer, provider, grantor, stranger, other, otherProvider] = people
const usd = contract(dollar, compiled('DevelopmentDollar').abi)
const escrow = await deploy('Escrow')
const day = 86400

const types = { Request: 'address payer,address provider,address token,uint256 price,bytes32 requestHash,uint256 credit,bytes32 nonce,uint64 expires'
  .split(',').map(m => { const [type, name] = m.split(' '); return { name, type } }) }
const domain = { name: 'Souk Escrow', version: '1', chainId: 84532, verifyingContract: escrow.address }
let nonces = 0
const request = (more = {}) => ({ payer: payer.address, provider: provider.address, token: dollar, price: 10n, requestHash: keccak256(toHex('what is to be done')), credit: 0n, nonce: bytes32(++nonces), expires: 4_000_000_000n, ...more })
const signed = (r, by = payer) => by.signTypedData({ domain, types, primaryType: 'Request', message: r })
const consume = async (r, by = payer) => escrow.send(provider).consume(r, await signed(r, by))
const refusal = async (r, { by = payer, from = provider, signature } = {}) => escrow.refused(from).consume(r, signature ?? await signed(r, by))
const free = (who, token = dollar) => escrow.read.balanceOf(who.address, token)
const budget = async (p = payer, q = provider, token = dollar) => (await escrow.read.allowance(p.address, q.address, token))[0]

for (const p of [payer, other, grantor, provider]) {
  await usd.send(p).mint(p.address, 1_000_000_000n)
  await usd.send(p).approve(escrow.address, 2n ** 200n)
}
const clean = await snapshot()
// Each test has the contract to itself.
const alone = (sentence, body) => test(sentence, async () => {
  const at = await snapshot()
  try { await body() } finally { await back(at) }
})
const funded = async (amount = 1000n, price = 10n, set = 500n) => {
  await escrow.send(payer).deposit(dollar, amount)
  await escrow.send(payer).approve(provider.address, dollar, price, set)
}

// -- one's own ----------------------------------------------------------------------------------------------------------

await alone('what is deposited can be taken out, and no more', async () => {
  const before = await usd.read.balanceOf(payer.address)
  equal('said', (await escrow.send(payer).deposit(dollar, 1000n)).events.map(e => [e.eventName, e.args.account, e.args.amount]), [['Deposited', payer.address, 1000n]])
  equal('there', await free(payer), 1000n)
  equal('nothing is deposited', await escrow.refused(payer).deposit(dollar, 0n), 'NoAmount')
  equal('nor more than can be counted', await escrow.refused(payer).deposit(dollar, 2n ** 128n), 'TooMuch')
  equal('nor what was not allowed', await escrow.refused(stranger).deposit(dollar, 1n), 'TransferFailed')
  equal('a stranger has nothing', await escrow.refused(stranger).withdraw(dollar, 1n), 'TooMuch')
  equal('more than there is', await escrow.refused(payer).withdraw(dollar, 1001n), 'TooMuch')
  equal('nothing', await escrow.refused(payer).withdraw(dollar, 0n), 'NoAmount')
  equal('said', (await escrow.send(payer).withdraw(dollar, 1000n)).events.map(e => e.eventName), ['Withdrawn'])
  equal('all back', await usd.read.balanceOf(payer.address), before)
})

// -- requests -----------------------------------------------------------------------------------------------------------

await alone('a provider is paid by the request, and takes it out', async () => {
  await funded()
  const r = request({ price: 7n }), before = await usd.read.balanceOf(provider.address)
  const { events } = await consume(r)
  equal('said', events.map(e => [e.eventName, e.args.payer, e.args.provider, e.args.requestHash, e.args.price, e.args.nonce]), [['Consumed', payer.address, provider.address, r.requestHash, 7n, r.nonce]])
  equal('moved', [await budget(), await free(payer), await free(provider)], [493n, 500n, 7n])
  await escrow.send(provider).withdraw(dollar, 7n)
  equal('out', await usd.read.balanceOf(provider.address) - before, 7n)
})

await alone('requests are paid once each, in any order', async () => {
  await funded()
  const all = [request(), request(), request()]
  for (const r of [all[2], all[0], all[1]]) await consume(r)
  for (const r of all) equal('again', await refusal(r), 'Used')
  equal('nor at another price', await refusal({ ...all[0], price: 9n }), 'Used')
  equal('three', await free(provider), 30n)
  await escrow.send(payer).approve(otherProvider.address, dollar, 10n, 100n)
  equal('a nonce is of one provider', await refusal({ ...all[0], provider: otherProvider.address }, { from: otherProvider }), 'done')
  const more = [request(), request()]
  await escrow.send(provider).consumeAll(more, await Promise.all(more.map(r => signed(r))))
  equal('two in one', await free(provider), 50n)
  const mixed = [request(), all[0]]
  equal('one that was paid stops all', await escrow.refused(provider).consumeAll(mixed, await Promise.all(mixed.map(r => signed(r)))), 'Used')
  const twice = request()
  equal('twice in one', await escrow.refused(provider).consumeAll([twice, twice], [await signed(twice), await signed(twice)]), 'Used')
  equal('fewer signatures than requests', await escrow.refused(provider).consumeAll(more, []), 'Unequal')
})

await alone('a request is refused', async () => {
  await funded()
  const r = request()
  equal('from a stranger', await refusal(r, { from: stranger }), 'NotProvider')
  equal('from the payer', await refusal(r, { from: payer }), 'NotProvider')
  equal('signed by a stranger', await refusal(r, { by: stranger }), 'BadSignature')
  equal('signed by the provider', await refusal(r, { by: provider }), 'BadSignature')
  const s = await signed(r)
  for (const [what, more] of [['price', { price: 9n }], ['hash', { requestHash: bytes32(1) }], ['nonce', { nonce: bytes32(999) }], ['day', { expires: 4_000_000_001n }],
    ['payer', { payer: other.address }], ['token', { token: stranger.address }], ['credit', { credit: 1n }]])
    equal(`of another ${what} than was signed`, await refusal({ ...r, ...more }, { signature: s }), 'BadSignature')
  equal('for another contract', await refusal(r, { signature: await payer.signTypedData({ domain: { ...domain, verifyingContract: dollar }, types, primaryType: 'Request', message: r }) }), 'BadSignature')
  equal('with the signature\'s mirror', await refusal(r, { signature: mirrored(s) }), 'BadSignature')
  equal('with none', await refusal(r, { signature: '0x' }), 'BadSignature')
  equal('too late', await refusal(request({ expires: BigInt(await now()) - 1n })), 'Expired')
  equal('for nothing', await refusal(request({ price: 0n })), 'NoAmount')
  equal('dearer than was allowed', await refusal(request({ price: 11n })), 'PriceTooHigh')
  await escrow.send(payer).approve(provider.address, dollar, 1000n, 0n)
  equal('beyond the budget, whatever else the payer has', await refusal(request({ price: 501n })), 'BeyondBudget')
  equal('of a payer who set nothing aside', await refusal(request({ payer: other.address }), { by: other }), 'PriceTooHigh')
  equal('nothing moved', [await budget(), await free(provider)], [500n, 0n])
})

await alone('a payer that is a contract signs as one', async () => {
  const wallet = await deploy('Wallet', other.address)
  await usd.send(other).mint(wallet.address, 100n)
  const goes = (at, data) => wallet.send(other).go(at, data)
  await goes(dollar, usd.data('approve', [escrow.address, 100n]))
  await goes(escrow.address, escrow.data('deposit', [dollar, 100n]))
  await goes(escrow.address, escrow.data('approve', [provider.address, dollar, 10n, 100n]))
  const r = request({ payer: wallet.address })
  equal('not by anybody', await refusal(r, { by: payer }), 'BadSignature')
  await consume(r, other)
  equal('by its owner', await free(provider), 10n)
})

// -- allowances ---------------------------------------------------------------------------------------------------------

await alone('what is set aside is one provider\'s to count on', async () => {
  await funded()
  equal('not with oneself', await escrow.refused(payer).approve(payer.address, dollar, 1n, 1n), 'BadParty')
  equal('not with nobody', await escrow.refused(payer).approve(zeroAddress, dollar, 1n, 1n), 'BadParty')
  equal('not more than one has', await escrow.refused(payer).approve(provider.address, dollar, 10n, 501n), 'TooMuch')
  equal('it cannot be taken out', await escrow.refused(payer).withdraw(dollar, 501n), 'TooMuch')
  equal('nor set aside again for another', await escrow.refused(payer).approve(otherProvider.address, dollar, 10n, 501n), 'TooMuch')
  equal('a price does not fall while anything is set aside', await escrow.refused(payer).approve(provider.address, dollar, 9n, 0n), 'PriceLowered')
  await escrow.send(payer).approve(provider.address, dollar, 11n, 100n)
  equal('it may rise', (await escrow.read.allowance(payer.address, provider.address, dollar)).map(Number), [600, 11, 0, 0])
})

await alone('it comes back after a notice, and what was served until then is paid first', async () => {
  await funded()
  const why = (f, ...args) => escrow.refused(payer)[f](provider.address, dollar, ...args)
  equal('not unannounced', await why('release'), 'NoNotice')
  equal('not nothing', await why('announce', 0n), 'NoAmount')
  equal('not more than there is', await why('announce', 501n), 'BeyondBudget')
  const said = await escrow.send(payer).announce(provider.address, dollar, 495n)
  equal('said', said.events.map(e => [e.eventName, e.args.amount, Number(e.args.due)]), [['Announced', 495n, await now() + day]])
  equal('what the provider still counts on', await escrow.read.available(payer.address, provider.address, dollar), 5n)
  equal('not twice', await why('announce', 1n), 'NoticePending')
  await later(day - 10)
  equal('not early', await why('release'), 'TooEarly')
  await consume(request()) // served before the notice, presented after it
  await later(20)
  await escrow.send(payer).release(provider.address, dollar)
  equal('all that is left', [await budget(), await free(payer), await free(provider)], [0n, 990n, 10n])
  equal('once', await why('release'), 'NoNotice')
  await escrow.send(payer).approve(provider.address, dollar, 1n, 1n)
  check('with nothing aside a price may be new', (await escrow.read.allowance(payer.address, provider.address, dollar))[1] === 1n)
})

await alone('a provider who will not need it gives it back at once', async () => {
  await funded()
  equal('nobody else does', await escrow.refused(stranger).giveBack(payer.address, dollar, 1n), 'BeyondBudget')
  equal('nor more than there is', await escrow.refused(provider).giveBack(payer.address, dollar, 501n), 'BeyondBudget')
  equal('nor nothing', await escrow.refused(provider).giveBack(payer.address, dollar, 0n), 'NoAmount')
  await escrow.send(provider).giveBack(payer.address, dollar, 500n)
  equal('back', [await budget(), await free(payer)], [0n, 1000n])
})

// -- credits ------------------------------------------------------------------------------------------------------------

const granted = async (amount = 100n, length = 30 * day, by = grantor) => {
  await escrow.send(by).deposit(dollar, amount)
  return (await escrow.send(by).grant(payer.address, provider.address, dollar, amount, BigInt(await now() + length))).events[0].args.credit
}
await alone('a credit is spent with its provider, and withdrawn by nobody', async () => {
  const credit = await granted()
  equal('it is no balance', [await free(payer), await free(provider), await free(grantor)], [0n, 0n, 0n])
  for (const p of [payer, provider, grantor]) equal('nobody takes it out', await escrow.refused(p).withdraw(dollar, 1n), 'TooMuch')
  equal('nor back before its day', await escrow.refused(grantor).reclaim(credit), 'TooEarly')
  await consume(request({ credit, price: 40n }))
  equal('spent', [(await escrow.read.credits(credit))[5], await free(provider)], [60n, 40n])
  equal('beyond it', await refusal(request({ credit, price: 61n })), 'BeyondCredit')
  equal('with another provider', await refusal(request({ credit, provider: otherProvider.address }), { from: otherProvider }), 'WrongCredit')
  equal('by another payer', await refusal(request({ credit, payer: other.address }), { by: other }), 'WrongCredit')
  equal('in another token', await refusal(request({ credit, token: stranger.address })), 'WrongCredit')
  equal('one that is not', await refusal(request({ credit: 99n })), 'WrongCredit')
})
await alone('what is left of it returns to its giver when its day is over', async () => {
  const credit = await granted()
  await consume(request({ credit, price: 40n }))
  await later(30 * day + 10)
  equal('it is not spent any more', await refusal(request({ credit })), 'Expired')
  equal('said', (await escrow.send(stranger).reclaim(credit)).events.map(e => [e.eventName, e.args.grantor, e.args.amount]), [['Reclaimed', grantor.address, 60n]])
  equal('to him, not to who asked', [await free(grantor), await free(stranger)], [60n, 0n])
  equal('once', await escrow.refused(grantor).reclaim(credit), 'NoAmount')
})
await alone('a credit is refused', async () => {
  await escrow.send(grantor).deposit(dollar, 100n)
  const why = (p, q, amount, expires) => escrow.refused(grantor).grant(p.address, q.address, dollar, amount, expires)
  const soon = BigInt(await now() + day)
  equal('of nothing', await why(payer, provider, 0n, soon), 'NoAmount')
  equal('of more than one has', await why(payer, provider, 101n, soon), 'TooMuch')
  equal('to nobody', await why({ address: zeroAddress }, provider, 1n, soon), 'BadParty')
  equal('with nobody', await why(payer, { address: zeroAddress }, 1n, soon), 'BadParty')
  equal('with oneself', await why(payer, payer, 1n, soon), 'BadParty')
  equal('that is over', await why(payer, provider, 1n, BigInt(await now())), 'Expired')
})

await alone('a digest is that of EIP-712', async () => {
  const r = request()
  equal('a request', await escrow.read.requestDigest(r), hashTypedData({ domain, types, primaryType: 'Request', message: r }))
})
await alone('what is recorded of it for others is so', async () => {
  const at = '0x5f0c000000000000000000000000000000000e5c'
  await rpc('anvil_setCode', at, compiled('Escrow').deployed)
  const there = contract(at, escrow.abi)
  const { requestHash, ...rest } = request({ price: 7n, nonce: keccak256(toHex('a nonce')) }), r = { ...rest, requestHash }
  const signature = await payer.signTypedData({ domain: { ...domain, verifyingContract: at }, types, primaryType: 'Request', message: r })
  const [p, q, t] = [r.payer, r.provider, r.token]
  const calls = {
    consume: [r, signature], consumeAll: [[r, r], [signature, signature]], deposit: [t, 1000n], withdraw: [t, 1000n], approve: [q, t, 10n, 500n], announce: [q, t, 495n], release: [q, t],
    giveBack: [p, t, 5n], grant: [p, q, t, 100n, 4_000_000_000n], reclaim: [7n], balanceOf: [p, t], allowance: [p, q, t], credits: [7n], used: [p, q, r.nonce],
  }
  const record = {
    place: { contract: at },
    request: { payer: p, provider: q, token: t, price: '7', request_hash: requestHash, credit: '0', nonce: r.nonce, expires: Number(r.expires) },
    digest: await there.read.requestDigest(r), signature,
    calls: Object.fromEntries(Object.entries(calls).map(([name, args]) => [name, there.data(name, args)])),
    topics: Object.fromEntries(['Consumed', 'Approved', 'Announced', 'Granted'].map(eventName => [eventName, encodeEventTopics({ abi: escrow.abi, eventName })[0]])),
  }
  const file = process.argv[4], text = JSON.stringify(record, null, 1) + '\n'
  if (process.env.SOUK_RECORD) fs.writeFileSync(file, text)
  check('to the letter', fs.readFileSync(file, 'utf8') === text)
})
await alone('nobody has power over it', async () => {
  const names = escrow.abi.filter(x => x.type === 'function' && x.stateMutability !== 'view').map(x => x.name).sort()
  equal('what can be done', names, ['announce', 'approve', 'consume', 'consumeAll', 'deposit', 'giveBack', 'grant', 'reclaim', 'release', 'withdraw'])
})

// -- tokens that are not what they say --------------------------------------------------------------------------------------

const [Quiet, SaysNo, SaysYesDoesNothing, TakesAFee, TakesMore] = [1, 2, 3, 4, 5]
const oddToken = async () => {
  const odd = await deploy('TrickyToken')
  for (const p of [payer, other]) { await odd.send(p).mint(p.address, 1_000_000n); await odd.send(p).approve(escrow.address, 2n ** 200n) }
  return odd
}
await alone('a token that lies moves nothing, and harms no other', async () => {
  const odd = await oddToken()
  for (const [way, why] of [[SaysNo, 'TransferFailed'], [SaysYesDoesNothing, 'TransferInexact'], [TakesAFee, 'TransferInexact']]) {
    await odd.send(payer).be(way)
    equal(`a deposit (${way})`, await escrow.refused(payer).deposit(odd.address, 100n), why)
  }
  await odd.send(payer).be(Quiet)
  await escrow.send(payer).deposit(odd.address, 100n)
  await escrow.send(other).deposit(odd.address, 100n)
  for (const [way, why] of [[SaysNo, 'TransferFailed'], [SaysYesDoesNothing, 'TransferInexact'], [TakesMore, 'TransferInexact']]) {
    await odd.send(payer).be(way)
    equal(`a withdrawal (${way})`, await escrow.refused(payer).withdraw(odd.address, 100n), why)
  }
  await odd.send(payer).be(Quiet)
  await escrow.send(payer).withdraw(odd.address, 100n)
  equal('of one that answers nothing', [await odd.read.balanceOf(payer.address), await odd.read.balanceOf(escrow.address)], [1_000_000n, 100n])
  check('what has no code is no token', await escrow.refused(payer).deposit(stranger.address, 1n) !== 'done')
})
await alone('nobody comes in again while money moves', async () => {
  // The token is a party itself, with dollars, an allowance on either side and a credit of its own: all that it calls would be done at another time.
  const odd = await oddToken(), goes = (at, data) => odd.send(stranger).go(at, data), acts = (f, ...args) => goes(escrow.address, escrow.data(f, args))
  await escrow.send(payer).deposit(odd.address, 1000n)
  await funded()
  await escrow.send(payer).approve(odd.address, dollar, 10n, 100n)
  await usd.send(payer).mint(odd.address, 1000n)
  await goes(dollar, usd.data('approve', [escrow.address, 1000n]))
  await acts('deposit', dollar, 500n)
  await acts('approve', provider.address, dollar, 1n, 100n)
  await acts('announce', provider.address, dollar, 5n)
  await acts('approve', otherProvider.address, dollar, 1n, 100n)
  await acts('grant', payer.address, provider.address, dollar, 7n, BigInt(await now() + day))
  await later(2 * day)
  const r = request({ provider: odd.address }), s = await signed(r)
  const calls = {
    deposit: [dollar, 1n], withdraw: [dollar, 1n], approve: [provider.address, dollar, 1n, 1n], announce: [otherProvider.address, dollar, 1n], release: [provider.address, dollar],
    giveBack: [payer.address, dollar, 1n], grant: [payer.address, provider.address, dollar, 1n, BigInt(await now() + day)], reclaim: [1n], consume: [r, s], consumeAll: [[r], [s]],
  }
  for (const [name, args] of Object.entries(calls)) {
    equal(`${name} at another time`, await odd.refused(stranger).go(escrow.address, escrow.data(name, args)), 'done')
    await odd.send(payer).callBack(escrow.address, escrow.data(name, args))
    await escrow.send(payer).withdraw(odd.address, 1n)
    check(`${name} within a withdrawal`, !await odd.read.calledBack())
    await escrow.send(payer).deposit(odd.address, 1n)
    check(`${name} within a deposit`, !await odd.read.calledBack())
  }
})

// -- what went wrong in a rental contract, and cannot here --------------------------------------------------------------

await alone('a: nothing is rounded off: a request of one unit is paid', async () => {
  await funded()
  await consume(request({ price: 1n }))
  equal('one unit', await free(provider), 1n)
})
await alone('b: no charge is paid from what others put in', async () => {
  await funded(10n, 100n, 10n)
  await escrow.send(other).deposit(dollar, 1_000_000n)
  equal('more than this payer set aside, though he signed', await refusal(request({ price: 11n })), 'BeyondBudget')
  await consume(request({ price: 10n }))
  equal('nor after', await refusal(request({ price: 1n })), 'BeyondBudget')
  equal('others have theirs', await free(other), 1_000_000n)
})
await alone('c: a price is what was signed, and the limit does not fall behind a provider\'s back', async () => {
  await funded()
  const r = request({ price: 10n }), s = await signed(r)
  equal('more than was signed', await refusal({ ...r, price: 20n }, { signature: s }), 'BadSignature')
  equal('lowered meanwhile', await escrow.refused(payer).approve(provider.address, dollar, 1n, 0n), 'PriceLowered')
  equal('as it was signed', await refusal(r, { signature: s }), 'done')
})
await alone('d: a provider who vanished holds nothing back', async () => {
  await funded()
  await escrow.send(payer).announce(provider.address, dollar, 500n)
  await later(day + 1)
  await escrow.send(payer).release(provider.address, dollar)
  await escrow.send(payer).withdraw(dollar, 1000n)
  equal('all back', await usd.read.balanceOf(escrow.address), 0n)
})
await alone('e: there is no dispute in which money stays: each side takes its own without the other', async () => {
  await funded()
  const credit = await granted(50n, day)
  await consume(request()); await consume(request({ credit, price: 20n }))
  await escrow.send(payer).announce(provider.address, dollar, 490n)
  await later(day + 2)
  await escrow.send(payer).release(provider.address, dollar)
  await escrow.send(stranger).reclaim(credit)
  for (const p of [payer, provider, grantor]) await escrow.send(p).withdraw(dollar, await free(p))
  equal('nothing is left in the contract', await usd.read.balanceOf(escrow.address), 0n)
})
await alone('f: nothing is given back twice', async () => {
  await funded()
  await escrow.send(other).deposit(dollar, 5000n)
  await escrow.send(payer).announce(provider.address, dollar, 500n)
  await escrow.send(provider).giveBack(payer.address, dollar, 500n)
  await later(day + 1)
  await escrow.send(payer).release(provider.address, dollar)
  equal('by the notice after the provider did', await free(payer), 1000n)
  await escrow.send(payer).withdraw(dollar, 1000n)
  equal('nor taken out twice', await escrow.refused(payer).withdraw(dollar, 1n), 'TooMuch')
})
await alone('g: what came in as one token goes out as that token', async () => {
  const odd = await oddToken()
  await funded()
  await escrow.send(payer).deposit(odd.address, 77n)
  equal('an allowance is of one', await refusal(request({ token: odd.address })), 'PriceTooHigh')
  await consume(request())
  equal('earned in one', [await free(provider), await free(provider, odd.address)], [10n, 0n])
  equal('taken out in the other', await escrow.refused(provider).withdraw(odd.address, 10n), 'TooMuch')
})
await alone('h: what is given back is what was put in, and what was agreed stays agreed', async () => {
  await funded()
  await usd.send(payer).mint(escrow.address, 999n) // a gift to the contract is nobody's
  await escrow.send(provider).giveBack(payer.address, dollar, 500n)
  equal('neither more nor less', await free(payer), 1000n)
  equal('a notice is as long as it was', Number(await escrow.read.NOTICE()), day)
})
await alone('i: limits hold for every request and every top-up, not only for the first', async () => {
  await funded(1000n, 10n, 20n)
  for (let n = 0; n < 2; ++n) await consume(request())
  equal('the third of two', await refusal(request()), 'BeyondBudget')
  await escrow.send(payer).approve(provider.address, dollar, 10n, 10n)
  equal('dearer, after more was set aside', await refusal(request({ price: 11n })), 'PriceTooHigh')
  equal('more than is there', await escrow.refused(payer).approve(provider.address, dollar, 10n, 971n), 'TooMuch')
})
await alone('j: only the provider who was named is paid', async () => {
  await funded()
  const r = request()
  equal('another presents it', await refusal(r, { from: otherProvider }), 'NotProvider')
  equal('as his', await refusal({ ...r, provider: otherProvider.address }, { from: otherProvider, signature: await signed(r) }), 'BadSignature')
  equal('one for whom nothing was set aside', await refusal(request({ provider: otherProvider.address }), { from: otherProvider }), 'PriceTooHigh')
})

// -- conservation -----------------------------------------------------------------------------------------------------

await test('over thousands of operations, money is neither made nor lost', async () => {
  await back(clean)
  const seed = Number(process.env.SOUK_SEED ?? 1), operations = Number(process.env.SOUK_OPERATIONS ?? 2500), r = random(seed)
  const odd = await deploy('TrickyToken'), tokens = [usd, odd], payers = [payer, other], providers = [provider, otherProvider], everybody = [...payers, ...providers, grantor]
  for (const p of everybody)
    for (const t of tokens) { await t.send(p).mint(p.address, 1_000_000n); await t.send(p).approve(escrow.address, 2n ** 200n) }
  const issued = await Promise.all(tokens.map(async t => (await Promise.all(everybody.map(p => t.read.balanceOf(p.address)))).reduce((a, b) => a + b)))
  const own = new Map(), set = new Map(), credits = [], presented = []
  const k = (...all) => all.map(x => x.address).join()
  const has = (p, t) => own.get(k(p, t)) ?? 0n
  const add = (p, t, n) => own.set(k(p, t), has(p, t) + n)
  const aside = (p, q, t) => { if (!set.has(k(p, q, t))) set.set(k(p, q, t), { t, budget: 0n, price: 0n, leaving: 0n, since: 0 }); return set.get(k(p, q, t)) }
  const least = (a, b) => a < b ? a : b
  let done = 0, refused = 0
  for (let n = 0; n < operations; ++n) {
    const p = r.one(payers), q = r.one(providers), t = r.one(tokens), a = aside(p, q, t)
    const much = most => BigInt(r.one([0, 1, r.below(100), r.below(Number(most) + 2), Number(most), Number(most) + 1]))
    const what = r.one(['deposit', 'deposit', 'withdraw', 'approve', 'approve', 'announce', 'release', 'giveBack', 'grant', 'reclaim', 'consume', 'consume', 'consume', 'consume', 'again', 'wait'])
    let from = p, args, good, then = () => {}, name = what
    if (what === 'wait') { await later(r.one([600, 20_000, day])); continue }
    if (what === 'deposit') {
      const who = r.one(everybody), x = much(1000n)
      from = who, args = [t.address, x], good = x > 0n, then = () => add(who, t, x)
    } else if (what === 'withdraw') {
      const who = r.one(everybody), x = much(has(who, t))
      from = who, args = [t.address, x], good = x > 0n && x <= has(who, t), then = () => add(who, t, -x)
    } else if (what === 'approve') {
      const x = much(has(p, t)), price = BigInt(r.below(60))
      args = [q.address, t.address, price, x], good = x <= has(p, t) && (a.budget === 0n || price >= a.price), then = () => { add(p, t, -x); a.budget += x; a.price = price }
    } else if (what === 'announce') {
      const x = much(a.budget)
      args = [q.address, t.address, x], good = x > 0n && !a.since && x <= a.budget, then = async () => { a.leaving = x; a.since = await now() }
    } else if (what === 'release') {
      args = [q.address, t.address], good = at => a.since !== 0 && at >= a.since + day, then = () => { const x = least(a.leaving, a.budget); a.budget -= x; a.leaving = 0n; a.since = 0; add(p, t, x) }
    } else if (what === 'giveBack') {
      const x = much(a.budget)
      from = q, args = [p.address, t.address, x], good = x > 0n && x <= a.budget, then = () => { a.budget -= x; add(p, t, x) }
    } else if (what === 'grant') {
      const x = much(has(grantor, t)), expires = await now() + r.one([-5, 30_000, 200_000])
      from = grantor, args = [p.address, q.address, t.address, x, BigInt(expires)], good = at => x > 0n && x <= has(grantor, t) && expires > at, then = () => { add(grantor, t, -x); credits.push({ p, q, t, left: x, expires }) }
    } else if (what === 'reclaim') {
      const i = r.below(credits.length + 1), c = credits[i]
      args = [BigInt(i + 1)], good = at => Boolean(c) && c.left > 0n && at > c.expires, then = () => { add(grantor, c.t, c.left); c.left = 0n }
    } else if (what === 'consume' || (what === 'again' && !presented.length)) {
      const mine = credits.map((c, i) => ({ c, i })).filter(x => x.c.p === p && x.c.q === q && x.c.t === t), chosen = mine.length && r.below(2) ? r.one(mine) : null
      const price = much(chosen ? chosen.c.left : least(a.budget, a.price)), late = r.below(10) === 0, expires = BigInt(await now() + (late ? -5 : 1_000_000))
      const req = request({ payer: p.address, provider: q.address, token: t.address, price, credit: BigInt(chosen ? chosen.i + 1 : 0), expires }), forged = r.below(10) === 0
      name = 'consume', from = q, args = [req, await signed(req, forged ? stranger : p)]
      good = at => price > 0n && !forged && BigInt(at) <= expires && (chosen ? at <= chosen.c.expires && price <= chosen.c.left : price <= a.price && price <= a.budget)
      then = () => { if (chosen) chosen.c.left -= price; else a.budget -= price; add(q, t, price); presented.push({ q, args }) }
    } else {
      const one = r.one(presented)
      name = 'consume', from = one.q, args = one.args, good = false
    }
    const said = await transaction(from.address, escrow.address, escrow.data(name, args), escrow.abi, false)
    if (typeof good === 'function') good = good(await now())
    if (said.done !== good) { check(`operation ${n} of seed ${seed}: ${what}`, false, `was ${said.done ? 'done' : 'refused'}`); return }
    if (said.done) await then(), ++done
    else ++refused
    let books = 0n
    for (const x of everybody) books += has(x, t)
    for (const x of set.values()) if (x.t === t) books += x.budget
    for (const c of credits) if (c.t === t) books += c.left
    const held = await t.read.balanceOf(escrow.address)
    if (held !== books) { check(`operation ${n} of seed ${seed}: ${what}`, false, `the contract has ${held}, and owes ${books}`); return }
    if (n % 100 === 99) {
      for (const x of everybody) for (const y of tokens) equal(`operation ${n} of seed ${seed}: a balance`, await free(x, y.address), has(x, y))
      for (const x of payers) for (const y of providers) for (const z of tokens) equal(`operation ${n} of seed ${seed}: a budget`, await budget(x, y, z.address), aside(x, y, z).budget)
      for (const [i, y] of tokens.entries())
        equal(`operation ${n} of seed ${seed}: money`, (await Promise.all([...everybody, escrow].map(x => y.read.balanceOf(x.address)))).reduce((x, y) => x + y), issued[i])
    }
  }
  // In the end everybody takes his own, and nothing stays.
  await later(10 * day)
  for (const x of payers) for (const y of providers) for (const z of tokens) if (await budget(x, y, z.address)) await escrow.send(y).giveBack(x.address, z.address, await budget(x, y, z.address))
  for (const [i, c] of credits.entries()) if (c.left) await escrow.send(stranger).reclaim(BigInt(i + 1))
  for (const x of everybody) for (const z of tokens) if (await free(x, z.address)) await escrow.send(x).withdraw(z.address, await free(x, z.address))
  equal('nothing is left', await Promise.all(tokens.map(z => z.read.balanceOf(escrow.address))), [0n, 0n])
  if (operations >= 1000) check('most were tried in earnest', done > operations / 4 && refused > operations / 10, `${done} done, ${refused} refused`)
  console.log(`        ${done} done, ${refused} refused (seed ${seed})`)
})
verdict()
