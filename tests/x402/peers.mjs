// node peers.mjs WHAT...: the official x402 packages, at work with souk. Run where they are installed.
//   pay v1|v2 URL KEY             fetches URL with the official client; prints {status, body, receipt}
//   name v2 URL KEY ID            two payments by the official client that bear one identifier, the first one twice; prints the three statuses
//   sign v2 URL KEY [AMOUNT]      what a facilitator is asked for a payment at URL by the official client: of AMOUNT, where it is not all
//   permit v2 URL KEY             pays URL by a permit of the official client's, though nobody asks for one; prints {status, receipt}
//   serve v1|v2 PORT FACILITATOR PAYEE [permits]   a shop: GET /paid for a cent, settled by FACILITATOR; GET /free; GET /count says how often it served;
//                                 by permits GET /permit for a cent, GET /upto?amount= for at most half a dollar
//   facilitate PORT RPC KEY       the official facilitator, versions 1 and 2
// `https://NAME.localhost` is looked for at SOUK_HOSTS: "NAME=PORT,NAME=PORT".
import fs from 'node:fs'

const ports = Object.fromEntries((process.env.SOUK_HOSTS ?? '').split(',').filter(Boolean).map(x => x.split('=')))
const real = globalThis.fetch
const here = url => {
  const u = new URL(url)
  const name = u.hostname.replace(/\.localhost$/, '')
  if (ports[name]) { u.hostname = 'localhost'; u.port = ports[name] }
  return u
}
const local = (input, init) => input instanceof Request ? real(new Request(here(input.url), input), init) : real(here(input), init)
globalThis.fetch = local

const [what, version, ...rest] = process.argv.slice(2)
const { privateKeyToAccount } = await import('viem/accounts')
const keyIn = file => { const text = fs.readFileSync(file, 'utf8').trim(); return text.startsWith('0x') ? text : '0x' + text }
const decoded = header => header ? JSON.parse(Buffer.from(header, 'base64').toString()) : null

if (what === 'pay') {
  const [url, key] = rest
  const account = privateKeyToAccount(keyIn(key))
  let paying
  if (version === 'v2') {
    const { x402Client } = await import('@x402/core/client')
    const { ExactEvmScheme } = await import('@x402/evm/exact/client')
    const { UptoEvmScheme } = await import('@x402/evm/upto/client')
    const { wrapFetchWithPayment } = await import('@x402/fetch')
    paying = wrapFetchWithPayment(local, new x402Client().register('eip155:*', new ExactEvmScheme(account)).register('eip155:*', new UptoEvmScheme(account)))
  } else {
    const { wrapFetchWithPayment } = await import('x402-fetch')
    paying = wrapFetchWithPayment(local, account)
  }
  const r = await paying(url)
  console.log(JSON.stringify({ status: r.status, body: await r.text(), receipt: decoded(r.headers.get(version === 'v2' ? 'payment-response' : 'x-payment-response')) }))
  process.exit(0)
}

if (what === 'sign') {
  const [url, key, amount] = rest
  const { x402Client } = await import('@x402/core/client')
  const { ExactEvmScheme } = await import('@x402/evm/exact/client')
  const { UptoEvmScheme } = await import('@x402/evm/upto/client')
  const account = privateKeyToAccount(keyIn(key))
  const client = new x402Client().register('eip155:*', new ExactEvmScheme(account)).register('eip155:*', new UptoEvmScheme(account))
  const paymentPayload = await client.createPaymentPayload(decoded((await local(url)).headers.get('payment-required')))
  console.log(JSON.stringify({ x402Version: 2, paymentPayload, paymentRequirements: { ...paymentPayload.accepted, ...(amount ? { amount } : {}) } }))
  process.exit(0)
}

if (what === 'permit') {
  const [url, key] = rest
  const { x402Client } = await import('@x402/core/client')
  const { encodePaymentSignatureHeader } = await import('@x402/core/http')
  const { ExactEvmScheme } = await import('@x402/evm/exact/client')
  const client = new x402Client().register('eip155:*', new ExactEvmScheme(privateKeyToAccount(keyIn(key))))
  const demanded = decoded((await local(url)).headers.get('payment-required'))
  demanded.accepts = demanded.accepts.filter(a => a.scheme === 'exact').map(a => ({ ...a, extra: { ...a.extra, assetTransferMethod: 'permit2' } }))
  const paymentPayload = await client.createPaymentPayload(demanded)
  if (!paymentPayload.payload.permit2Authorization) throw new Error('the official client signed no permit')
  const r = await local(url, { headers: { 'PAYMENT-SIGNATURE': encodePaymentSignatureHeader(paymentPayload) } })
  console.log(JSON.stringify({ status: r.status, receipt: decoded(r.headers.get('payment-response')) }))
  process.exit(0)
}

if (what === 'name') {
  const [url, key, id] = rest
  const { x402Client } = await import('@x402/core/client')
  const { encodePaymentSignatureHeader } = await import('@x402/core/http')
  const { ExactEvmScheme } = await import('@x402/evm/exact/client')
  const { appendPaymentIdentifierToExtensions } = await import('@x402/extensions')
  const client = new x402Client().register('eip155:*', new ExactEvmScheme(privateKeyToAccount(keyIn(key))))
  const demanded = decoded((await local(url)).headers.get('payment-required'))
  const signed = async called => {
    const asked = structuredClone(demanded)
    appendPaymentIdentifierToExtensions(asked.extensions, called)
    if (asked.extensions['payment-identifier'].info.id !== called) throw new Error('the official extension does not see that it is offered')
    return encodePaymentSignatureHeader(await client.createPaymentPayload(asked))
  }
  const first = await signed(id), other = await signed(id)
  const statuses = []
  for (const payment of [first, first, other]) statuses.push((await local(url, { headers: { 'PAYMENT-SIGNATURE': payment } })).status)
  console.log(JSON.stringify(statuses))
  process.exit(0)
}

if (what === 'serve') {
  const [port, facilitator, payee, permits] = rest
  const { default: express } = await import('express')
  const app = express()
  let served = 0
  app.get('/count', (q, s) => s.json({ served }))
  app.get('/free', (q, s) => s.json({ page: 0 }))
  if (version === 'v2') {
    const { HTTPFacilitatorClient, x402ResourceServer } = await import('@x402/core/server')
    const { ExactEvmScheme } = await import('@x402/evm/exact/server')
    const { UptoEvmScheme } = await import('@x402/evm/upto/server')
    const { paymentMiddleware, setSettlementOverrides } = await import('@x402/express')
    const network = 'eip155:84532', offer = more => ({ accepts: [{ scheme: 'exact', price: '$0.01', network, payTo: payee, maxTimeoutSeconds: 300, ...more }] })
    const server = new x402ResourceServer(new HTTPFacilitatorClient({ url: facilitator })).register(network, new ExactEvmScheme())
    const routes = { 'GET /paid': offer() }
    if (permits) {
      server.register(network, new UptoEvmScheme())
      routes['GET /permit'] = offer({ price: { amount: '10000', asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', extra: { name: 'USDC', version: '2', assetTransferMethod: 'permit2' } } })
      routes['GET /upto'] = offer({ scheme: 'upto', price: '$0.50' })
    }
    app.use(paymentMiddleware(routes, server))
    app.get('/permit', (q, s) => { ++served; s.json({ page: served }) })
    app.get('/upto', (q, s) => { ++served; setSettlementOverrides(s, { amount: q.query.amount }); s.json({ page: served }) })
  } else {
    const { paymentMiddleware } = await import('x402-express')
    app.use(paymentMiddleware(payee, { 'GET /paid': { price: '$0.01', network: 'base-sepolia', config: { description: 'a page', maxTimeoutSeconds: 300 } } }, { url: facilitator }))
  }
  app.get('/paid', (q, s) => { ++served; s.json({ page: served }) })
  app.listen(+port, '127.0.0.1', () => console.log('ready'))
}

if (what === 'facilitate') {
  const [rpc, key] = rest, port = version
  const { default: express } = await import('express')
  const { createWalletClient, http, publicActions } = await import('viem')
  const { baseSepolia } = await import('viem/chains')
  const { x402Facilitator } = await import('@x402/core/facilitator')
  const { toFacilitatorEvmSigner } = await import('@x402/evm')
  const { ExactEvmScheme } = await import('@x402/evm/exact/facilitator')
  const { ExactEvmSchemeV1 } = await import('@x402/evm/exact/v1/facilitator')
  const { UptoEvmScheme } = await import('@x402/evm/upto/facilitator')
  const account = privateKeyToAccount(key)
  const wallet = createWalletClient({ account, chain: baseSepolia, transport: http(rpc), pollingInterval: 50 }).extend(publicActions)
  const signer = toFacilitatorEvmSigner({ ...wallet, address: account.address })
  const all = new x402Facilitator().register('eip155:84532', new ExactEvmScheme(signer)).register('eip155:84532', new UptoEvmScheme(signer)).registerV1(['base-sepolia'], new ExactEvmSchemeV1(signer))
  const app = express()
  app.use(express.json())
  const answering = f => async (q, s) => { try { s.json(await f(q.body)) } catch (e) { s.status(500).json({ error: e.message }) } }
  app.post('/verify', answering(b => all.verify(b.paymentPayload, b.paymentRequirements)))
  app.post('/settle', answering(b => all.settle(b.paymentPayload, b.paymentRequirements)))
  app.get('/supported', answering(() => all.getSupported()))
  app.listen(+port, '127.0.0.1', () => console.log('ready'))
}
