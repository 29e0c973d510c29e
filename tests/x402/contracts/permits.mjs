// node permits.mjs RPC CONTRACTS: every rule and every refusal of Permits.sol and of its two proxies, on a chain; then the official client, server and
// facilitator at work with them, unchanged.
import express from 'express'
import { createWalletClient, hashTypedData, http, keccak256, publicActions, toFunctionSelector, toHex, zeroAddress } from 'viem'
import { baseSepolia } from 'viem/chains'
import { x402Client } from '@x402/core/client'
import { x402Facilitator } from '@x402/core/facilitator'
import { HTTPFacilitatorClient, x402ResourceServer } from '@x402/core/server'
import { PERMIT2_ADDRESS, permit2WitnessTypes, toClientEvmSigner, toFacilitatorEvmSigner, uptoPermit2WitnessTypes, x402ExactPermit2ProxyABI, x402ExactPermit2ProxyAddress, x402UptoPermit2ProxyABI, x402UptoPermit2ProxyAddress } from '@x402/evm'
import { ExactEvmScheme as Paying } from '@x402/evm/exact/client'
import { ExactEvmScheme as Settling } from '@x402/evm/exact/facilitator'
import { ExactEvmScheme as Selling } from '@x402/evm/exact/server'
import { UptoEvmScheme as PayingUpto } from '@x402/evm/upto/client'
import { UptoEvmScheme as SettlingUpto } from '@x402/evm/upto/facilitator'
import { UptoEvmScheme as SellingUpto } from '@x402/evm/upto/server'
import { paymentMiddleware, setSettlementOverrides } from '@x402/express'
import { wrapFetchWithPayment } from '@x402/fetch'
import { check, compiled, contract, dollar, equal, mirrored, now, people, rpc, rpcUrl, test, verdict } from './tools.mjs'

const [settler, payer, payee, stranger, other] = people
const errors = ['Permits', 'ExactPermitProxy', 'UptoPermitProxy'].flatMap(name => compiled(name).abi.filter(x => x.type === 'error'))
const permits = contract(PERMIT2_ADDRESS, [...compiled('Permits').abi, ...errors.filter(e => e.name !== 'InvalidAmount')])
// By the official packages' own interfaces; of an error that both have, Permit2's has a number.
const own = (abi, name) => [...abi.filter(x => x.type !== 'error'), ...new Map([...errors.filter(e => e.name !== 'InvalidAmount'), ...compiled(name).abi.filter(x => x.type === 'error')].map(e => [e.name, e])).values()]
const exact = contract(x402ExactPermit2ProxyAddress, own(x402ExactPermit2ProxyABI, 'ExactPermitProxy')), upto = contract(x402UptoPermit2ProxyAddress, own(x402UptoPermit2ProxyABI, 'UptoPermitProxy'))
const usd = contract(dollar, compiled('DevelopmentDollar').abi)
const has = who => usd.read.balanceOf(who.address ?? who)
await usd.send(payer).mint(payer.address, 100_000_000n)
await usd.send(payer).approve(PERMIT2_ADDRESS, 50_000_000n)

let nonces = 1000n
const domain = { name: 'Permit2', chainId: 84532, verifyingContract: PERMIT2_ADDRESS }
async function permit({ by = payer, from = payer.address, token = dollar, amount = 1000n, spender, nonce = ++nonces, deadline = 4000000000n, to = payee.address, facilitator, validAfter = 0n, chainId = 84532, verifyingContract = PERMIT2_ADDRESS } = {}) {
  const witness = facilitator ? { to, facilitator, validAfter } : { to, validAfter }
  const typed = { domain: { ...domain, chainId, verifyingContract }, types: facilitator ? uptoPermit2WitnessTypes : permit2WitnessTypes, primaryType: 'PermitWitnessTransferFrom',
    message: { permitted: { token, amount }, spender: spender ?? (facilitator ? upto.address : exact.address), nonce, deadline, witness } }
  return { from, witness, typed, permit: { permitted: { token, amount }, nonce, deadline }, signature: await by.signTypedData(typed) }
}
const args = p => [p.permit, p.from, p.witness, p.signature]
const most = p => [p.permit, p.permit.permitted.amount, p.from, p.witness, p.signature]

await test('they are what the official packages look for', async () => {
  equal('selectors', [toFunctionSelector(x402ExactPermit2ProxyABI.find(x => x.name === 'settle')), toFunctionSelector(x402UptoPermit2ProxyABI.find(x => x.name === 'settle'))], ['0x13cd3b53', '0xff11e7b4'])
  for (const [proxy, witness] of [[exact, 'Witness(address to,uint256 validAfter)'], [upto, 'Witness(address to,address facilitator,uint256 validAfter)']]) {
    equal('works with', await proxy.read.PERMIT2(), PERMIT2_ADDRESS)
    equal('its witness', [await proxy.read.WITNESS_TYPEHASH(), await proxy.read.WITNESS_TYPE_STRING()], [keccak256(toHex(witness)), 'Witness witness)TokenPermissions(address token,uint256 amount)' + witness])
  }
  const separator = await permits.read.DOMAIN_SEPARATOR(), { typed } = await permit()
  check('the domain has no version', hashTypedData({ domain, types: { Only: [] }, primaryType: 'Only', message: {} }) === keccak256('0x1901' + separator.slice(2) + keccak256(keccak256(toHex('Only()'))).slice(2)))
  equal('the domain that is signed', typed.domain, domain)
})
await test('a permit moves all of it to whom it names, whoever brings it, once', async () => {
  const p = await permit(), before = [await has(payer), await has(payee)]
  equal('unused', (await permits.read.nonceBitmap(payer.address, p.permit.nonce >> 8n) >> (p.permit.nonce & 255n)) & 1n, 0n)
  await exact.send(stranger).settle(...args(p))
  equal('moved', [before[0] - await has(payer), await has(payee) - before[1], await has(PERMIT2_ADDRESS), await has(exact.address)], [1000n, 1000n, 0n, 0n])
  equal('used', (await permits.read.nonceBitmap(payer.address, p.permit.nonce >> 8n) >> (p.permit.nonce & 255n)) & 1n, 1n)
  equal('again', await exact.refused(stranger).settle(...args(p)), 'InvalidNonce')
  equal('another of the same nonce', await exact.refused(stranger).settle(...args(await permit({ nonce: p.permit.nonce, amount: 1n }))), 'InvalidNonce')
})
await test('every nonce has a bit of its own, and every payer has them all', async () => {
  const word = 77n << 8n
  for (const bit of [0n, 1n, 127n, 128n, 254n, 255n]) {
    const p = await permit({ nonce: word + bit, amount: 1n })
    await exact.send(stranger).settle(...args(p))
    equal('again', await exact.refused(stranger).settle(...args(p)), 'InvalidNonce')
  }
  equal('those bits', await permits.read.nonceBitmap(payer.address, 77n), (1n << 0n) + (1n << 1n) + (1n << 127n) + (1n << 128n) + (1n << 254n) + (1n << 255n))
  equal("another's", await permits.read.nonceBitmap(other.address, 77n), 0n)
})
await test('every member is signed', async () => {
  const good = await permit(), call = p => exact.refused(stranger).settle(...args(p))
  equal('as it is', await call(good), 'done')
  for (const change of [
    p => { p.permit.permitted.amount += 1n }, p => { p.permit.permitted.token = other.address }, p => { p.permit.nonce += 1n }, p => { p.permit.deadline += 1n }, p => { p.from = other.address },
    p => { p.witness.to = stranger.address }, p => { p.witness.validAfter = 1n }, p => { p.signature = mirrored(p.signature) }, p => { p.signature = p.signature.slice(0, -2) }, p => { p.signature = '0x' },
  ]) {
    const bad = structuredClone({ ...good, typed: null })
    change(bad)
    equal(String(change), await call(bad), 'InvalidSigner')
  }
  for (const wrong of [{ by: other }, { spender: stranger.address }, { spender: upto.address }, { chainId: 1 }, { verifyingContract: dollar }]) equal(Object.keys(wrong)[0], await call(await permit(wrong)), 'InvalidSigner')
  const direct = [good.permit, { to: stranger.address, requestedAmount: 1000n }, payer.address, keccak256('0x'), 'Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)', good.signature]
  equal('without the proxy', await permits.refused(stranger).permitWitnessTransferFrom(...direct), 'InvalidSigner')
})
await test('what the proxies refuse', async () => {
  const t = await now()
  equal('nothing', await exact.refused(stranger).settle(...args(await permit({ amount: 0n }))), 'InvalidAmount')
  equal('to nobody', await exact.refused(stranger).settle(...args(await permit({ to: zeroAddress }))), 'InvalidDestination')
  equal('too early', await exact.refused(stranger).settle(...args(await permit({ validAfter: BigInt(t + 3600) }))), 'PaymentTooEarly')
  equal('too late', await exact.refused(stranger).settle(...args(await permit({ deadline: BigInt(t - 1) }))), 'SignatureExpired')
  equal('by nobody', await exact.refused(stranger).settle(...args({ ...await permit(), from: zeroAddress })), 'InvalidOwner')
  equal('more than is there', await exact.refused(stranger).settle(...args(await permit({ by: other, from: other.address }))), 'TransferFromFailed')
  equal('more than was approved', await exact.refused(stranger).settle(...args(await permit({ amount: 60_000_000n }))), 'TransferFromFailed')
  equal('a token that is none', await exact.refused(stranger).settle(...args(await permit({ token: other.address }))), 'TransferFromFailed')
})
await test('of at most so much the named facilitator brings what it came to, nobody else and no more', async () => {
  const p = await permit({ facilitator: settler.address, amount: 500_000n }), before = await has(payee)
  equal("a stranger's", await upto.refused(stranger).settle(...most(p)), 'UnauthorizedFacilitator')
  equal('another facilitator', await upto.refused(stranger).settle(p.permit, 1n, p.from, { ...p.witness, facilitator: stranger.address }, p.signature), 'InvalidSigner')
  equal('more', await upto.refused(settler).settle(p.permit, 500_001n, p.from, p.witness, p.signature), 'AmountExceedsPermitted')
  equal('by the other proxy', await exact.refused(settler).settle(p.permit, p.from, { to: p.witness.to, validAfter: 0n }, p.signature), 'InvalidSigner')
  await upto.send(settler).settle(p.permit, 123_456n, p.from, p.witness, p.signature)
  equal('moved', await has(payee) - before, 123_456n)
  equal('the rest', await upto.refused(settler).settle(p.permit, 1n, p.from, p.witness, p.signature), 'InvalidNonce')
})
await test('an owner makes nonces void, his own alone', async () => {
  const p = await permit({ nonce: (99n << 8n) + 5n })
  await permits.send(other).invalidateUnorderedNonces(99n, 1n << 5n)
  equal("another's do not count", await exact.refused(stranger).settle(...args(p)), 'done')
  await permits.send(payer).invalidateUnorderedNonces(99n, 1n << 5n)
  equal('void', await exact.refused(stranger).settle(...args(p)), 'InvalidNonce')
})
await test("a contract's word goes before any key's", async () => {
  // One that answers yes to everything, and one that answers nothing; before they were contracts both approved.
  const yes = '0x000000000000000000000000000000000000a11c', no = '0x000000000000000000000000000000000000bad0'
  for (const [who, code] of [[yes, '0x631626ba7e60e01b60005260206000f3'], [no, '0x00']]) {
    await usd.send(payer).mint(who, 1000n)
    await rpc('anvil_impersonateAccount', who)
    await rpc('anvil_setBalance', who, '0xde0b6b3a7640000')
    await usd.send(who).approve(PERMIT2_ADDRESS, 1000n)
    await rpc('anvil_setCode', who, code)
  }
  equal('no', await exact.refused(stranger).settle(...args({ ...await permit({ by: other }), from: no })), 'InvalidContractSignature')
  const before = await has(payee)
  await exact.send(stranger).settle(...args({ ...await permit({ by: other }), from: yes }))
  equal('yes', await has(payee) - before, 1000n)
})

// -- the official packages -------------------------------------------------------------------------------------------

const network = 'eip155:84532'
const listening = app => new Promise(r => { const s = app.listen(0, '127.0.0.1', () => r(s.address().port)) })
const wallet = createWalletClient({ account: settler, chain: baseSepolia, transport: http(rpcUrl), pollingInterval: 20 }).extend(publicActions)
const signer = toFacilitatorEvmSigner({ ...wallet, address: settler.address })
const facilitator = new x402Facilitator().register(network, new Settling(signer)).register(network, new SettlingUpto(signer))
const desk = express().use(express.json())
const answering = f => async (q, s) => { try { s.json(await f(q.body)) } catch (e) { s.status(500).json({ error: e.message }) } }
desk.post('/verify', answering(b => facilitator.verify(b.paymentPayload, b.paymentRequirements)))
desk.post('/settle', answering(b => facilitator.settle(b.paymentPayload, b.paymentRequirements)))
desk.get('/supported', answering(() => facilitator.getSupported()))
const client = new HTTPFacilitatorClient({ url: `http://127.0.0.1:${await listening(desk)}` })
const shop = express()
const price = { amount: '10000', asset: dollar, extra: { name: 'USDC', version: '2', assetTransferMethod: 'permit2' } }
shop.use(paymentMiddleware({
  'GET /exact': { accepts: [{ scheme: 'exact', network, payTo: payee.address, price, maxTimeoutSeconds: 300 }] },
  'GET /upto': { accepts: [{ scheme: 'upto', network, payTo: payee.address, price: '$0.50', maxTimeoutSeconds: 300 }] },
}, new x402ResourceServer(client).register(network, new Selling()).register(network, new SellingUpto())))
shop.get('/exact', (q, s) => s.json({ page: 1 }))
shop.get('/upto', (q, s) => { setSettlementOverrides(s, { amount: q.query.amount }); s.json({ page: 1 }) })
const at = `http://127.0.0.1:${await listening(shop)}`
const payingAs = who => wrapFetchWithPayment(fetch, new x402Client().register('eip155:*', new Paying(toClientEvmSigner(who, wallet))).register('eip155:*', new PayingUpto(toClientEvmSigner(who, wallet))))
const bought = async (who, path) => {
  const r = await payingAs(who)(at + path), receipt = r.headers.get('PAYMENT-RESPONSE')
  return { status: r.status, ...(receipt ? JSON.parse(Buffer.from(receipt, 'base64')) : {}) }
}
await test('the official client pays the official shop by a permit, settled by the official facilitator', async () => {
  const before = await has(payee), said = await bought(payer, '/exact')
  equal('served', [said.status, said.success], [200, true])
  equal('paid', await has(payee) - before, 10000n)
})
await test('and at most so much, of which it comes to a part, or to nothing', async () => {
  const before = await has(payee), part = await bought(payer, '/upto?amount=123456'), nothing = await bought(payer, '/upto?amount=0')
  equal('served', [part.status, part.success, part.amount, nothing.status, nothing.success, nothing.transaction, nothing.amount], [200, true, '123456', 200, true, '', '0'])
  equal('paid', await has(payee) - before, 123456n)
})
await test('who approved nothing is answered 412', async () => {
  await usd.send(other).mint(other.address, 1_000_000n)
  equal('exact', (await bought(other, '/exact')).status, 412)
  equal('upto', (await bought(other, '/upto?amount=1')).status, 412)
})
verdict()
