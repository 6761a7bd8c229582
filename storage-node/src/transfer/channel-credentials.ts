// x509 registers its extensions by decorators, which need this polyfill loaded first.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { X509CertificateGenerator } from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
const YEARS_VALID = 10

/**
 * A self-signed certificate for the accepting side of channels, new in every process. TLS needs
 * one, nobody trusts it: who the peer is follows from the signatures over the channel's
 * exported keying material, so the certificate says nothing and is never checked.
 */
export async function createChannelCredentials(): Promise<SecureContext> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const now = Date.now()
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=ioex',
      // A day back, so that a peer with a slow clock does not see a certificate of the future.
      notBefore: new Date(now - DAY_MS),
      notAfter: new Date(now + 365 * YEARS_VALID * DAY_MS),
      keys,
      signingAlgorithm: ALGORITHM,
    },
    webcrypto,
  )
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  return createSecureContext({
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${key.toString('base64')}\n-----END PRIVATE KEY-----`,
    minVersion: 'TLSv1.3',
  })
}
