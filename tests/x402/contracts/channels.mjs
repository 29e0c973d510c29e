// node channels.mjs RPC CONTRACTS [SOUK_SEED, SOUK_OPERATIONS]: every rule and every refusal of Channels.sol and of its collector, on a chain.
import { encodeAbiParameters, keccak256, zeroAddress } from 'viem'
import { back, bytes32, channelsAt, check, collectorAt, compiled, contract, deploy, dollar, equal, later, mirrored, now, people, random, snapshot, test, transaction, verdict } from './tools.mjs'

const [payer, authorizer, receiver, receiverAuthorizer, stranger, other, otherReceiver] = people
const channels = contract(channelsAt, compiled('Channels').abi)
const usd = contract(dollar, [...compiled('DevelopmentDollar').abi, ...channels.abi.filter(x => x.type === 'error')])
const puller = await deploy('Puller')

const domain = { name: 'x402 Batch Settlement', version: '1', chainId: 84532, verifyingContract: channelsAt }
const struct = text => text.split(',').map(m => { const [type, name] = m.split(' '); return { name, type } })
const types = {
  Voucher: struct('bytes32 channelId,uint128 maxClaimableAmount'),
  Refund: struct('bytes32 channelId,uint256 nonce,uint128 amount'),
  ClaimBatch: struct('ClaimEntry[] claims'),
  ClaimEntry: struct('bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed'),
}
const signed = (who, primaryType, message) => who.signTypedData({ domain, types: { [primaryType]: types[primaryType], ...(primaryType === 'ClaimBatch' ? { ClaimEntry: types.ClaimEntry } : {}) }, primaryType, message })

let salts = 0
const config = (more = {}) => ({
  payer: payer.address, payerAuthorizer: authorizer.address, receiver: receiver.address, receiverAuthorizer: receiverAuthorizer.address,
  token: dollar, withdrawDelay: 900, salt: bytes32(++salts), ...more,
})
const idOf = c => channels.read.getChannelId(c)
const voucher = async (c, most, total = most, by = authorizer) => ({
  voucher: { channel: c, maxClaimableAmount: most }, totalClaimed: total,
  signature: await signed(by, 'Voucher', { channelId: await idOf(c), maxClaimableAmount: most }),
})
const batch = async (claims, by = receiverAuthorizer) => signed(by, 'ClaimBatch', {
  claims: await Promise.all(claims.map(async v => ({ channelId: await idOf(v.voucher.channel), maxClaimableAmount: v.voucher.maxClaimableAmount, totalClaimed: v.totalClaimed }))),
})
const refundWord = async (c, amount, nonce, by = receiverAuthorizer) => signed(by, 'Refund', { channelId: await idOf(c), nonce, amount })

// A deposit as it is signed for the dollar: ReceiveWithAuthorization to the collector, its nonce of the channel's name.
let depositSalts = 0n
async function authorised(c, amount, { by = payer, name, validBefore = 4000000000n, salt = ++depositSalts } = {}) {
  const nonce = keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint256' }], [name ?? await idOf(c), salt]))
  const signature = await by.signTypedData({
    domain: { name: 'USDC', version: '2', chainId: 84532, verifyingContract: dollar },
    types: { ReceiveWithAuthorization: struct('address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce') },
    primaryType: 'ReceiveWithAuthorization',
    message: { from: c.payer, to: collectorAt, value: amount, validAfter: 0n, validBefore, nonce },
  })
  return encodeAbiParameters([{ type: 'uint256' }, { type: 'uint256' }, { type: 'uint256' }, { type: 'bytes' }], [0n, validBefore, salt, signature])
}
const fund = async (c, amount) => channels.send(stranger).deposit(c, amount, collectorAt, await authorised(c, amount))
const pull = (c, amount, data = '0x') => channels.send(stranger).deposit(c, amount, puller.address, data)
const state = async c => { const [balance, claimed] = await channels.read.channels(await idOf(c)); return [balance, claimed] }
const has = (who, token = usd) => token.read.balanceOf(who.address)

await usd.send(payer).mint(payer.address, 1_000_000_000n)
await usd.send(payer).mint(other.address, 1_000_000_000n)
for (const p of [payer, other]) await usd.send(p).approve(puller.address, 2n ** 200n)
const clean = await snapshot()

// -- the way that money goes ----------------------------------------------------------------------------------------

await test('a deposit is fetched by signature, whoever brings it', async () => {
  const c = config(), before = await has(payer)
  const { events } = await fund(c, 500_000n)
  equal('what is said of it', events.map(e => e.eventName), ['ChannelCreated', 'Deposited'])
  equal('the channel', await state(c), [500_000n, 0n])
  equal('the payer paid it', before - await has(payer), 500_000n)
  equal('more of it says only that', (await fund(c, 1n)).events.map(e => e.eventName), ['Deposited'])
  equal('and adds', await state(c), [500_001n, 0n])
})

await test('a deposit is refused', async () => {
  const c = config(), data = await authorised(c, 100n)
  const why = (x, amount, d, at = collectorAt) => channels.refused(stranger).deposit(x, amount, at, d)
  for (const [what, more] of [['no payer', { payer: zeroAddress }], ['no receiver', { receiver: zeroAddress }], ['no authorizer', { receiverAuthorizer: zeroAddress }],
    ['no token', { token: zeroAddress }], ['itself as the receiver', { receiver: channelsAt }], ['itself as the payer', { payer: channelsAt }]])
    equal(what, await why({ ...c, ...more }, 100n, data), 'BadConfig')
  for (const withdrawDelay of [0, 899, 30 * 86400 + 1]) equal(`a delay of ${withdrawDelay}`, await why({ ...c, withdrawDelay }, 100n, data), 'BadDelay')
  equal('nothing', await why(c, 0n, data), 'NoAmount')
  const worded = contract(channelsAt, [...channels.abi, { type: 'error', name: 'Error', inputs: [{ name: 'why', type: 'string' }] }])
  const said = (x, amount, d) => worded.refused(stranger).deposit(x, amount, collectorAt, d)
  equal('another amount than was signed', await said(c, 101n, data), 'FiatTokenV2: invalid signature')
  equal('another channel than was signed', await said(config(), 100n, data), 'FiatTokenV2: invalid signature')
  equal('signed by another', await said(c, 100n, await authorised(c, 100n, { by: other })), 'FiatTokenV2: invalid signature')
  equal('signed for a time that is over', await said(c, 100n, await authorised(c, 100n, { validBefore: 1n })), 'FiatTokenV2: authorization is expired')
  await channels.send(stranger).deposit(c, 100n, collectorAt, data)
  equal('the same again', await said(c, 100n, data), 'FiatTokenV2: authorization is used or canceled')
  equal('more than the payer has', await said(c, 10n ** 12n, await authorised(c, 10n ** 12n)), 'ERC20: transfer amount exceeds balance')
  equal('brought by nobody', (await why(c, 100n, data, stranger.address)) === 'done', false)
  equal('less than was said', await why(c, 100n, bytes32(1), puller.address), 'TransferInexact')
  check('a delay at either end is taken', await pull(config({ withdrawDelay: 900 }), 1n) && await pull(config({ withdrawDelay: 30 * 86400 }), 1n))
})

await test('what was signed for the contract goes to no other', async () => {
  const c = config(), data = await authorised(c, 100n), thief = await deploy('Thief')
  check('the collector does not serve another caller', await thief.refused(stranger).steal(collectorAt, c, 100n, data) !== 'done')
  const forThief = await authorised(c, 100n, { name: keccak256('0x01') })
  check('nor one whose signature names no channel of his', await thief.refused(stranger).steal(collectorAt, c, 100n, forThief) !== 'done')
  check('the contract is served', await channels.refused(stranger).deposit(c, 100n, collectorAt, data) === 'done')
})

await test('claims move nothing; settling moves all of them, to the receiver alone', async () => {
  const a = config(), b = config()
  await fund(a, 1000n); await fund(b, 1000n)
  const before = await has(receiver), claims = [await voucher(a, 300n), await voucher(b, 500n, 200n)]
  const { events } = await channels.send(stranger).claimWithSignature(claims, await batch(claims))
  equal('claimed', events.map(e => [e.eventName, e.args.claimAmount, e.args.newTotalClaimed]), [['Claimed', 300n, 300n], ['Claimed', 200n, 200n]])
  equal('nothing moved', await has(receiver), before)
  equal('the receiver\'s account', (await channels.read.receivers(receiver.address, dollar))[0] - (await channels.read.receivers(receiver.address, dollar))[1], 500n)
  const settled = await channels.send(stranger).settle(receiver.address, dollar)
  equal('settled', settled.events.map(e => [e.eventName, e.args.receiver, e.args.sender, e.args.amount]), [['Settled', receiver.address, stranger.address, 500n]])
  equal('paid', await has(receiver) - before, 500n)
  check('within the gas that the official facilitator gives it', settled.gas < 120_000, settled.gas)
  equal('settled again, nothing is said', (await channels.send(stranger).settle(receiver.address, dollar)).events, [])
  equal('nor paid', await has(receiver) - before, 500n)
  equal('a newer voucher adds the difference', (await channels.send(receiver).claim([await voucher(a, 450n)])).events[0].args.claimAmount, 150n)
  equal('an old one changes nothing', (await channels.send(receiver).claim([claims[0]])).events, [])
  equal('and keeps', await state(a), [1000n, 450n])
})

await test('a claim is refused', async () => {
  const c = config(), d = config({ receiverAuthorizer: other.address })
  await fund(c, 1000n); await fund(d, 1000n)
  const v = await voucher(c, 300n), w = await voucher(d, 300n)
  const why = (by, claims) => channels.refused(by).claim(claims)
  equal('of a stranger', await why(stranger, [v]), 'NotAllowed')
  equal('of the payer', await why(payer, [v]), 'NotAllowed')
  equal('of one who may have one of two', await why(other, [w, v]), 'NotAllowed')
  equal('of nothing', await why(receiver, []), 'NoClaims')
  equal('of nothing, signed', await channels.refused(stranger).claimWithSignature([], '0x'), 'NoClaims')
  equal('above the voucher', await why(receiver, [{ ...v, totalClaimed: 301n }]), 'BeyondVoucher')
  equal('above the channel', await why(receiver, [await voucher(c, 1001n)]), 'BeyondBalance')
  equal('on a voucher for another amount', await why(receiver, [{ ...v, voucher: { ...v.voucher, maxClaimableAmount: 999n } }]), 'BadVoucherSignature')
  equal('on a voucher of another channel', await why(receiver, [{ ...v, voucher: { ...v.voucher, channel: d } }]), 'BadVoucherSignature')
  equal('on the payer\'s word, where another signs', await why(receiver, [await voucher(c, 300n, 300n, payer)]), 'BadVoucherSignature')
  equal('on the signature\'s mirror', await why(receiver, [{ ...v, signature: mirrored(v.signature) }]), 'BadVoucherSignature')
  equal('on a signature cut short', await why(receiver, [{ ...v, signature: v.signature.slice(0, -2) }]), 'BadVoucherSignature')
  equal('on no signature', await why(receiver, [{ ...v, signature: '0x' }]), 'BadVoucherSignature')
  equal('of a channel that is not', await why(receiver, [await voucher(config(), 1n)]), 'BeyondBalance')
  const why2 = (claims, s) => channels.refused(stranger).claimWithSignature(claims, s)
  equal('on the word of who is not the authorizer', await why2([v], await batch([v], receiver)), 'BadAuthorizerSignature')
  equal('on a word on other claims', await why2([v], await batch([{ ...v, totalClaimed: 299n }])), 'BadAuthorizerSignature')
  equal('of channels with different authorizers', await why2([v, w], await batch([v, w])), 'OtherAuthorizer')
  equal('on a refund\'s word', await why2([v], await refundWord(c, 300n, 0n)), 'BadAuthorizerSignature')
  equal('nothing changed', [await state(c), await state(d)], [[1000n, 0n], [1000n, 0n]])
})

await test('a payer signs himself where nobody signs for him, with a key or as a contract', async () => {
  const own = config({ payerAuthorizer: zeroAddress })
  await fund(own, 100n)
  equal('a voucher of no key', await channels.refused(receiver).claim([await voucher(own, 50n, 50n, authorizer)]), 'BadVoucherSignature')
  equal('his own', (await channels.send(receiver).claim([await voucher(own, 50n, 50n, payer)])).events[0].args.claimAmount, 50n)
  const wallet = await deploy('Wallet', other.address), hers = config({ payer: wallet.address, payerAuthorizer: zeroAddress })
  await usd.send(payer).mint(wallet.address, 1000n)
  await wallet.send(other).go(dollar, usd.data('approve', [puller.address, 1000n]))
  await pull(hers, 1000n)
  equal('what her contract does not know', await channels.refused(receiver).claim([await voucher(hers, 50n, 50n, payer)]), 'BadVoucherSignature')
  await channels.send(receiver).claim([await voucher(hers, 400n, 400n, other)])
  equal('what it does', await state(hers), [1000n, 400n])
  // An authorizer that is a contract, for the receiver; and one that cannot be, for the payer.
  const house = config({ receiverAuthorizer: wallet.address }), v = await voucher(house, 10n)
  await fund(house, 100n)
  equal('a house\'s word', (await channels.refused(stranger).claimWithSignature([v], await batch([v], other))), 'done')
  const bound = config({ payerAuthorizer: wallet.address })
  await fund(bound, 100n)
  equal('a voucher\'s key is a key', await channels.refused(receiver).claim([await voucher(bound, 10n, 10n, other)]), 'BadVoucherSignature')
})

await test('a refund goes back at once, once for each word', async () => {
  const c = config(), id = await idOf(c)
  await fund(c, 1000n)
  await channels.send(receiver).claim([await voucher(c, 300n)])
  const before = await has(payer), word = await refundWord(c, 200n, 0n)
  const why = (amount, nonce, s) => channels.refused(stranger).refundWithSignature(c, amount, nonce, s)
  equal('another amount than was signed', await why(201n, 0n, word), 'BadAuthorizerSignature')
  equal('another nonce', await why(200n, 1n, await refundWord(c, 200n, 1n)), 'BadRefundNonce')
  equal('signed by the receiver only', await why(200n, 0n, await refundWord(c, 200n, 0n, receiver)), 'BadAuthorizerSignature')
  equal('nothing', await why(0n, 0n, await refundWord(c, 0n, 0n)), 'NoAmount')
  equal('unsigned, by a stranger', await channels.refused(stranger).refund(c, 1n), 'NotAllowed')
  equal('unsigned, by the payer', await channels.refused(payer).refund(c, 1n), 'NotAllowed')
  equal('said', (await channels.send(stranger).refundWithSignature(c, 200n, 0n, word)).events.map(e => [e.eventName, e.args.amount]), [['Refunded', 200n]])
  equal('back', await has(payer) - before, 200n)
  equal('the same word again', await why(200n, 0n, word), 'BadRefundNonce')
  await channels.send(receiver).refund(c, 10_000n)
  equal('no more than was left', [await has(payer) - before, await state(c)], [700n, [300n, 300n]])
  equal('of nothing left, the nonce goes on in silence', (await channels.send(receiverAuthorizer).refund(c, 1n)).events, [])
  equal('to', await channels.read.refundNonce(id), 3n)
  const closing = config()
  await fund(closing, 5n)
  equal('with the last of it a channel closes', (await channels.send(receiver).refund(closing, 5n)).events.map(e => e.eventName), ['Refunded', 'ChannelClosed'])
  equal('and may be opened again', (await fund(closing, 5n)).events.map(e => e.eventName), ['ChannelCreated', 'Deposited'])
})

await test('a withdrawal waits out its delay, in which what was promised is claimed', async () => {
  const c = config(), id = await idOf(c)
  await fund(c, 1000n)
  const why = (by, amount) => channels.refused(by).initiateWithdraw(c, amount)
  equal('of a stranger', await why(stranger, 1n), 'NotAllowed')
  equal('of the receiver', await why(receiver, 1n), 'NotAllowed')
  equal('of nothing', await why(payer, 0n), 'NoAmount')
  equal('of more than there is', await why(payer, 1001n), 'BeyondBalance')
  equal('finished before it began', await channels.refused(payer).finalizeWithdraw(c), 'NoWithdrawal')
  const begun = await channels.send(payer).initiateWithdraw(c, 800n)
  equal('said', begun.events.map(e => [e.eventName, e.args.amount, Number(e.args.finalizeAfter)]), [['WithdrawInitiated', 800n, await now() + 900]])
  equal('begun again', await why(authorizer, 1n), 'WithdrawalPending')
  equal('finished at once', await channels.refused(payer).finalizeWithdraw(c), 'TooEarly')
  await later(890)
  equal('finished early', await channels.refused(payer).finalizeWithdraw(c), 'TooEarly')
  await channels.send(receiver).claim([await voucher(c, 500n)])
  await later(20)
  equal('finished by a stranger', await channels.refused(stranger).finalizeWithdraw(c), 'NotAllowed')
  const before = await has(payer)
  equal('by who signs for the payer', (await channels.send(authorizer).finalizeWithdraw(c)).events.map(e => [e.eventName, e.args.amount]), [['WithdrawFinalized', 500n]])
  equal('the payer has what was not claimed', await has(payer) - before, 500n)
  equal('the receiver what was', await state(c), [500n, 500n])
  equal('again', await channels.refused(payer).finalizeWithdraw(c), 'NoWithdrawal')
  equal('what is pending', (await channels.read.pendingWithdrawals(id)).map(Number), [0, 0])
})

await test('a refund is taken off a withdrawal', async () => {
  const c = config(), id = await idOf(c)
  await fund(c, 1000n)
  await channels.send(payer).initiateWithdraw(c, 600n)
  await channels.send(receiver).refund(c, 100n)
  equal('a part', (await channels.read.pendingWithdrawals(id))[0], 500n)
  await channels.send(receiver).refund(c, 500n)
  equal('all', (await channels.read.pendingWithdrawals(id)).map(Number), [0, 0])
})

await test('several calls are one, or none', async () => {
  const c = config()
  await fund(c, 1000n)
  const v = await voucher(c, 250n), before = await has(payer)
  const claim = channels.data('claimWithSignature', [[v], await batch([v])])
  const refund = async (amount, nonce) => channels.data('refundWithSignature', [c, amount, nonce, await refundWord(c, amount, nonce)])
  equal('one that fails fails all, with its own reason', await channels.refused(stranger).multicall([claim, await refund(750n, 7n)]), 'BadRefundNonce')
  await channels.send(stranger).multicall([claim, await refund(750n, 0n)])
  equal('claimed and closed in one', [await state(c), await has(payer) - before], [[250n, 250n], 750n])
  equal('the sender is who he is', await channels.refused(stranger).multicall([channels.data('refund', [c, 1n])]), 'NotAllowed')
})

await test('names and digests are those of EIP-712', async () => {
  const { hashTypedData } = await import('viem')
  const c = config(), id = await idOf(c)
  const channelConfig = struct('address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt')
  equal('a channel', id, hashTypedData({ domain, types: { ChannelConfig: channelConfig }, primaryType: 'ChannelConfig', message: c }))
  equal('a voucher', await channels.read.getVoucherDigest(id, 7n), hashTypedData({ domain, types, primaryType: 'Voucher', message: { channelId: id, maxClaimableAmount: 7n } }))
  equal('a refund', await channels.read.getRefundDigest(id, 3n, 7n), hashTypedData({ domain, types, primaryType: 'Refund', message: { channelId: id, nonce: 3n, amount: 7n } }))
  const v = await voucher(c, 7n, 5n)
  equal('claims', await channels.read.getClaimBatchDigest([v, v]), hashTypedData({ domain, types, primaryType: 'ClaimBatch',
    message: { claims: [0, 1].map(() => ({ channelId: id, maxClaimableAmount: 7n, totalClaimed: 5n })) } }))
  equal('the channel of the record', await idOf({ payer: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8', payerAuthorizer: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
    receiver: '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC', receiverAuthorizer: '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266', token: dollar, withdrawDelay: 900, salt: bytes32(0) }),
  '0xbe3d3bc2b391870f577f3597bbc284fd56b26c94cab85e1337228a41eb273863')
})

// -- tokens that are not what they say --------------------------------------------------------------------------------

const [Honest, Quiet, SaysNo, SaysYesDoesNothing, TakesAFee, TakesMore] = [0, 1, 2, 3, 4, 5]
await test('a token that lies moves nothing, and harms no other', async () => {
  const odd = await deploy('TrickyToken'), c = config({ token: odd.address })
  await odd.send(payer).mint(payer.address, 10_000n)
  await odd.send(payer).approve(puller.address, 10_000n)
  const why = () => channels.refused(stranger).deposit(c, 100n, puller.address, '0x')
  for (const way of [SaysYesDoesNothing, TakesAFee]) { await odd.send(payer).be(way); equal(`a deposit (${way})`, await why(), 'TransferInexact') }
  await odd.send(payer).be(Quiet)
  await pull(c, 1000n)
  await channels.send(receiver).claim([await voucher(c, 400n)])
  const settling = () => channels.refused(stranger).settle(receiver.address, odd.address)
  await odd.send(payer).be(SaysNo); equal('settling with one that says no', await settling(), 'TransferFailed')
  await odd.send(payer).be(SaysYesDoesNothing); equal('with one that only says yes', await settling(), 'TransferInexact')
  await odd.send(payer).be(TakesMore); equal('with one that takes more', await settling(), 'TransferInexact')
  await odd.send(payer).be(Quiet)
  await channels.send(stranger).settle(receiver.address, odd.address)
  equal('with one that answers nothing, as some do', await odd.read.balanceOf(receiver.address), 400n)
  await channels.send(receiver).refund(c, 600n)
  equal('all of it went out', await odd.read.balanceOf(channelsAt), 0n)
  check('no code at all is no token', await channels.refused(stranger).deposit(config({ token: stranger.address }), 1n, puller.address, '0x') !== 'done')
})

await test('nobody comes in again while money moves', async () => {
  // The token is a party itself, receiver of one channel and payer of others: all that it calls would be done at another time.
  const odd = await deploy('TrickyToken'), goes = (at, data) => odd.send(stranger).go(at, data)
  const c = config({ token: odd.address }), toIt = config({ receiver: odd.address }), ofIt = config({ payer: odd.address }), leaving = config({ payer: odd.address })
  await odd.send(payer).mint(payer.address, 10_000n)
  await odd.send(payer).approve(puller.address, 10_000n)
  await usd.send(payer).mint(odd.address, 10_000n)
  await goes(dollar, usd.data('approve', [puller.address, 10_000n]))
  await pull(c, 1000n); await fund(toIt, 1000n); await pull(ofIt, 1000n); await pull(leaving, 1000n)
  await channels.send(receiver).claim([await voucher(c, 300n)])
  await goes(channelsAt, channels.data('initiateWithdraw', [leaving, 10n]))
  await later(901)
  const v = await voucher(toIt, 300n)
  const calls = {
    deposit: [toIt, 10n, puller.address, '0x'], claim: [[v]], claimWithSignature: [[v], await batch([v])], settle: [receiver.address, dollar], refund: [toIt, 1n],
    refundWithSignature: [toIt, 10n, 0n, await refundWord(toIt, 10n, 0n)], initiateWithdraw: [ofIt, 1n], finalizeWithdraw: [leaving],
  }
  for (const [name, args] of Object.entries(calls)) {
    const at = await snapshot(), call = channels.data(name, args), many = channels.data('multicall', [[call]])
    equal(`${name} at another time`, await odd.refused(stranger).go(channelsAt, many), 'done')
    await odd.send(payer).callBack(channelsAt, call)
    await channels.send(stranger).settle(receiver.address, odd.address)
    check(`${name} within a settlement`, !await odd.read.calledBack())
    await odd.send(payer).callBack(channelsAt, many)
    await channels.send(stranger).deposit(c, 7n, puller.address, '0x')
    check(`${name} within a deposit, by way of many calls`, !await odd.read.calledBack())
    await back(at)
  }
})

// -- what went wrong in a rental contract, and cannot here --------------------------------------------------------------

await test('a: nothing is rounded off: a second\'s price is paid', async () => {
  await channels.send(stranger).settle(receiver.address, dollar)
  const c = config(), before = await has(receiver)
  await fund(c, 3600n)
  await channels.send(receiver).claim([await voucher(c, 1n)])
  await channels.send(stranger).settle(receiver.address, dollar)
  equal('one unit', await has(receiver) - before, 1n)
})
await test('b: no charge is paid from what others put in', async () => {
  const c = config(), rich = config({ payer: other.address })
  await fund(c, 100n); await pull(rich, 1_000_000n)
  equal('more than this payer has in it, though he signed', await channels.refused(receiver).claim([await voucher(c, 101n)]), 'BeyondBalance')
  await channels.send(receiver).claim([await voucher(c, 100n)])
  equal('nor after', await channels.refused(receiver).claim([await voucher(c, 101n)]), 'BeyondBalance')
  await channels.send(receiver).refund(c, 1000n)
  equal('nor back', await state(rich), [1_000_000n, 0n])
})
await test('c: a price is what was signed, whatever the receiver asks by now', async () => {
  const c = config()
  await fund(c, 1000n)
  const v = await voucher(c, 10n)
  equal('more', await channels.refused(receiver).claim([{ ...v, totalClaimed: 20n }]), 'BeyondVoucher')
  const changed = { ...c, withdrawDelay: 86400 }
  equal('other terms are another channel, with nothing in it', await state(changed), [0n, 0n])
})
await test('d: a receiver who vanished holds nothing back', async () => {
  const c = config(), before = await has(payer)
  await fund(c, 1000n)
  await channels.send(payer).initiateWithdraw(c, 1000n)
  await later(901)
  await channels.send(payer).finalizeWithdraw(c)
  equal('all back', await has(payer), before)
})
await test('e: there is no dispute in which money stays: each side takes its own without the other', async () => {
  const c = config({ receiver: otherReceiver.address }), held = await usd.read.balanceOf(channelsAt)
  await fund(c, 1000n)
  await channels.send(payer).initiateWithdraw(c, 1000n)
  await channels.send(otherReceiver).claim([await voucher(c, 350n)])
  await later(901)
  await channels.send(payer).finalizeWithdraw(c)
  await channels.send(otherReceiver).settle(otherReceiver.address, dollar)
  equal('nothing of it is left in the contract', await usd.read.balanceOf(channelsAt), held)
})
await test('f: nothing is given back twice', async () => {
  const c = config()
  await fund(c, 1000n); await fund(config({ payer: payer.address }), 5000n)
  const word = await refundWord(c, 1000n, 0n), before = await has(payer)
  await channels.send(payer).initiateWithdraw(c, 1000n)
  await channels.send(stranger).refundWithSignature(c, 1000n, 0n, word)
  equal('by the same word', await channels.refused(stranger).refundWithSignature(c, 1000n, 0n, word), 'BadRefundNonce')
  await later(901)
  equal('by the withdrawal after the refund', await channels.refused(payer).finalizeWithdraw(c), 'NoWithdrawal')
  await channels.send(receiver).refund(c, 1000n)
  equal('by a second refund', await has(payer) - before, 1000n)
})
await test('g: what came in as one token goes out as that token', async () => {
  const odd = await deploy('TrickyToken'), c = config({ token: odd.address, receiver: otherReceiver.address })
  await odd.send(payer).mint(payer.address, 1000n); await odd.send(payer).approve(puller.address, 1000n)
  await pull(c, 1000n); await fund(config(), 1000n)
  await channels.send(otherReceiver).claim([await voucher(c, 600n)])
  const dollars = await has(otherReceiver)
  equal('settled in the other, nothing', (await channels.send(stranger).settle(otherReceiver.address, dollar)).events, [])
  await channels.send(stranger).settle(otherReceiver.address, odd.address)
  await channels.send(otherReceiver).refund(c, 400n)
  equal('each has his own', [await odd.read.balanceOf(otherReceiver.address), await odd.read.balanceOf(payer.address), await has(otherReceiver)], [600n, 400n, dollars])
})
await test('h: what is given back is what was put in, and what was agreed stays agreed', async () => {
  const c = config(), before = await has(payer)
  await fund(c, 700n)
  await usd.send(payer).mint(channelsAt, 999n) // a gift to the contract is nobody's
  await channels.send(receiver).refund(c, 10_000n)
  equal('neither more nor less', await has(payer), before)
})
await test('i: limits hold for every deposit, not only for the first', async () => {
  const c = config()
  await fund(c, 10n)
  equal('more than can be counted', await channels.refused(stranger).deposit(c, 2n ** 128n - 1n, puller.address, '0x') !== 'done', true)
  equal('more, at another delay', await channels.refused(stranger).deposit({ ...c, withdrawDelay: 31 * 86400 }, 1n, puller.address, '0x'), 'BadDelay')
})
await test('j: only who is named in the channel is paid', async () => {
  const c = config(), before = await Promise.all([stranger, otherReceiver].map(p => has(p)))
  await fund(c, 1000n)
  const v = await voucher(c, 100n)
  equal('a stranger claims it for himself', await channels.refused(stranger).claim([{ ...v, voucher: { ...v.voucher, channel: { ...c, receiver: stranger.address } } }]), 'BadVoucherSignature')
  await channels.send(receiver).claim([v])
  for (const p of [stranger, otherReceiver]) await channels.send(p).settle(p.address, dollar)
  equal('nobody else has any of it', await Promise.all([stranger, otherReceiver].map(p => has(p))), before)
})

// -- conservation -----------------------------------------------------------------------------------------------------

await test('over thousands of operations, money is neither made nor lost', async () => {
  await back(clean)
  const seed = Number(process.env.SOUK_SEED ?? 1), operations = Number(process.env.SOUK_OPERATIONS ?? 2500), r = random(seed)
  const odd = await deploy('TrickyToken'), tokens = [usd, odd]
  for (const p of [payer, other]) {
    await odd.send(p).mint(p.address, 1_000_000_000n)
    for (const t of tokens) await t.send(p).approve(puller.address, 2n ** 200n)
  }
  const parties = [payer, other, receiver, otherReceiver]
  const all = []
  for (const p of [payer, other]) for (const t of tokens) for (const q of [receiver, otherReceiver]) all.push({ c: config({ payer: p.address, payerAuthorizer: authorizer.address, receiver: q.address, token: t.address }), p, q, t, balance: 0n, claimed: 0n, nonce: 0n, out: null })
  const owed = new Map(), key = (q, t) => q.address + t.address
  const issued = await Promise.all(tokens.map(async t => (await Promise.all(parties.map(p => t.read.balanceOf(p.address)))).reduce((a, b) => a + b)))
  let clock = await now(), done = 0, refused = 0
  const amount = ch => BigInt(r.one([0, 1, r.below(50), r.below(1000), Number(ch.balance - ch.claimed), Number(ch.balance) + 1]))
  const least = (a, b) => a < b ? a : b
  for (let n = 0; n < operations; ++n) {
    const ch = r.one(all), a = amount(ch), what = r.one(['deposit', 'deposit', 'claim', 'claim', 'claim', 'settle', 'refund', 'refundWithSignature', 'begin', 'finish', 'wait'])
    let call, from = stranger, good, then = () => {}
    const free = ch.balance - ch.claimed
    const give = m => { ch.balance -= m; if (ch.out) ch.out = null }
    if (what === 'wait') { await later(r.one([60, 500, 1000])); continue }
    if (what === 'deposit') call = channels.data('deposit', [ch.c, a, puller.address, '0x']), good = a > 0n, then = () => { ch.balance += a }
    if (what === 'claim') {
      const most = ch.claimed + a, total = most - BigInt(r.one([0, 0, 0, 1]))
      if (total < 0n) continue
      call = channels.data('claim', [[await voucher(ch.c, most, total)]]), from = ch.q, good = total <= ch.balance
      then = () => { if (total > ch.claimed) { owed.set(key(ch.q, ch.t), (owed.get(key(ch.q, ch.t)) ?? 0n) + total - ch.claimed); ch.claimed = total } }
    }
    if (what === 'settle') call = channels.data('settle', [ch.q.address, ch.t.address]), good = true, then = () => owed.set(key(ch.q, ch.t), 0n)
    const refunded = () => { ++ch.nonce; const m = least(a, free); ch.balance -= m; if (ch.out && m > 0n) { ch.out.amount -= least(m, ch.out.amount); if (!ch.out.amount) ch.out = null } }
    if (what === 'refund') call = channels.data('refund', [ch.c, a]), from = ch.q, good = a > 0n, then = refunded
    if (what === 'refundWithSignature') {
      const nonce = ch.nonce + BigInt(r.one([0, 0, 0, 1]))
      call = channels.data('refundWithSignature', [ch.c, a, nonce, await refundWord(ch.c, a, nonce)]), good = a > 0n && nonce === ch.nonce, then = refunded
    }
    if (what === 'begin') call = channels.data('initiateWithdraw', [ch.c, a]), from = ch.p, good = a > 0n && a <= free && !ch.out, then = async () => { ch.out = { amount: a, at: await now() } }
    if (what === 'finish') call = channels.data('finalizeWithdraw', [ch.c]), from = ch.p, good = null, then = () => { give(least(ch.out.amount, free)) }
    const said = await transaction(from.address, channelsAt, call, channels.abi, false)
    if (good === null) { clock = await now(); good = ch.out !== null && clock >= ch.out.at + 900 }
    if (said.done !== good) { check(`operation ${n} of seed ${seed}: ${what} of ${a}`, false, `was ${said.done ? 'done' : 'refused'}`); return }
    if (said.done) await then(), ++done
    else ++refused
    const held = await ch.t.read.balanceOf(channelsAt)
    let books = 0n
    for (const x of all) if (x.t === ch.t) books += x.balance - x.claimed
    for (const q of [receiver, otherReceiver]) books += owed.get(key(q, ch.t)) ?? 0n
    if (held !== books) { check(`operation ${n} of seed ${seed}: ${what}`, false, `the contract has ${held}, and owes ${books}`); return }
    if (n % 100 === 99) {
      for (const x of all) equal(`operation ${n} of seed ${seed}: a channel`, await state(x.c), [x.balance, x.claimed])
      for (const [i, t] of tokens.entries())
        equal(`operation ${n} of seed ${seed}: money`, (await Promise.all([...parties, { address: channelsAt }].map(p => t.read.balanceOf(p.address)))).reduce((a, b) => a + b), issued[i])
    }
  }
  // In the end everybody takes his own, and nothing stays.
  for (const x of all) await channels.send(x.q).refund(x.c, 2n ** 127n)
  for (const q of [receiver, otherReceiver]) for (const t of tokens) await channels.send(q).settle(q.address, t.address)
  equal('nothing is left', await Promise.all(tokens.map(t => t.read.balanceOf(channelsAt))), [0n, 0n])
  if (operations >= 1000) check('most were tried in earnest', done > operations / 3 && refused > operations / 10, `${done} done, ${refused} refused`)
  console.log(`        ${done} done, ${refused} refused (seed ${seed})`)
})
verdict()
