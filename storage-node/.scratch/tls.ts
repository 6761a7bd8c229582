import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { webcrypto } from 'node:crypto'
import tls from 'node:tls'
import net from 'node:net'
import { Duplex } from 'node:stream'
const alg = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const keys = await webcrypto.subtle.generateKey(alg, true, ['sign', 'verify'])
const cert = await x509.X509CertificateGenerator.createSelfSigned({ serialNumber: '01', name: 'CN=ioex', notBefore: new Date(Date.now()-864e5), notAfter: new Date(Date.now()+864e5*3650), keys: keys as any, signingAlgorithm: alg }, webcrypto as any)
const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----`
const pem = cert.toString('pem')
const total = 1024*1024*1024
async function run(name: string, wrap: boolean) {
  const server = net.createServer((s) => {
    s.setNoDelay(true)
    const t = new tls.TLSSocket(wrap ? wrapDuplex(s) as any : s, { isServer: true, key, cert: pem, minVersion: 'TLSv1.3', requestCert: false })
    t.on('secure', () => { console.log(name, 'server exp', t.exportKeyingMaterial(32, 'EXPERIMENTAL ioex identity').toString('hex').slice(0,8)) })
    const buf = Buffer.alloc(262144)
    let sent = 0
    const go = () => { while (sent < total) { sent += buf.length; if (!t.write(buf)) { t.once('drain', go); return } } t.end() }
    t.once('data', go)
    t.on('error', console.log)
  })
  await new Promise<void>(r => server.listen(0, '127.0.0.1', r))
  const s = net.connect((server.address() as any).port, '127.0.0.1')
  s.setNoDelay(true)
  const t = tls.connect({ socket: wrap ? wrapDuplex(s) as any : s, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
  await new Promise<void>(r => t.once('secureConnect', r))
  console.log(name, 'client exp', t.exportKeyingMaterial(32, 'EXPERIMENTAL ioex identity').toString('hex').slice(0,8))
  t.write('go')
  const t0 = performance.now(); let n = 0, c = 0, max = 0
  for await (const d of t) { n += d.length; c++; if (d.length>max) max=d.length }
  console.log(name, (n / 1e6 / ((performance.now() - t0) / 1e3)).toFixed(0), 'MB/s', c, max)
  server.close()
}
function wrapDuplex(s: net.Socket) {
  const d = new Duplex({ read() { s.resume() }, write(c, _e, cb) { s.write(c, cb as any) }, writev(cs, cb) { s.cork(); let i = 0; for (const { chunk } of cs) s.write(chunk, i++ === cs.length - 1 ? cb as any : undefined); s.uncork() }, final(cb) { s.end(cb) } })
  s.on('data', (x) => { if (!d.push(x)) s.pause() }); s.on('end', () => d.push(null)); s.pause()
  return d
}
await run('native', false); await run('duplex', true); await run('native', false)
