// node vectors.mjs > ../data/x402/permit2-84532.json: permits as the official packages sign and settle them, from fixed keys and numbers. Run where
// those packages are installed (build/tests/x402/peers).
import { encodeFunctionData, hashTypedData, keccak256, toHex } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { PERMIT2_ADDRESS, permit2WitnessTypes, uptoPermit2WitnessTypes, x402ExactPermit2ProxyABI, x402ExactPermit2ProxyAddress, x402UptoPermit2ProxyABI, x402UptoPermit2ProxyAddress } from '@x402/evm'

const [facilitator, payer, payee] = [0, 1, 2].map(addressIndex => mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex }))
const token = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'
const numbers = ['0', '255', '256', BigInt(keccak256(toHex('souk permit'))).toString(), (2n ** 256n - 1n).toString()]
const cases = []
for (const upto of [false, true])
  for (const nonce of numbers) {
    const authorization = {
      from: payer.address, permitted: { token, amount: upto ? '500000' : '10000' }, spender: upto ? x402UptoPermit2ProxyAddress : x402ExactPermit2ProxyAddress, nonce, deadline: '1800000300',
      witness: { to: payee.address, ...(upto ? { facilitator: facilitator.address } : {}), validAfter: '0' },
    }
    const { from, ...message } = authorization
    const typed = { domain: { name: 'Permit2', chainId: 84532, verifyingContract: PERMIT2_ADDRESS }, types: upto ? uptoPermit2WitnessTypes : permit2WitnessTypes, primaryType: 'PermitWitnessTransferFrom', message }
    const signature = await payer.signTypedData(typed), permit = { permitted: message.permitted, nonce: message.nonce, deadline: message.deadline }
    const calls = upto ? ['123456', '500000'] : ['10000']
    cases.push({
      scheme: upto ? 'upto' : 'exact', authorization, digest: hashTypedData(typed), signature,
      calls: calls.map(amount => ({ amount, data: encodeFunctionData({ abi: upto ? x402UptoPermit2ProxyABI : x402ExactPermit2ProxyABI, functionName: 'settle', args: [permit, ...(upto ? [amount] : []), from, message.witness, signature] }) })),
    })
  }
console.log(JSON.stringify({ made: '@x402/evm 2.27.0, viem 2.56.9', payerKey: toHex(payer.getHdKey().privateKey), cases }, null, 1))
