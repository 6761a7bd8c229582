import { LocalNetwork } from './devnet/local-network.ts'
const t = Date.now()
const [, , data, preset, v, b, p, secs] = process.argv as string[]
const n = await LocalNetwork.start(
  {
    data: data!,
    preset: preset as 'ci',
    validators: +v!,
    bootstraps: +b!,
    peers: +p!,
    portBase: 0,
  },
  (r, t2, l) => console.log(r, t2, l, Date.now() - t),
)
console.log('ready', Date.now() - t)
for (let i = 0; i < +secs!; i += 3) {
  await new Promise((r) => setTimeout(r, 3000))
  console.log(
    JSON.stringify(
      await Promise.all(
        n.nodes
          .filter((_, i) => [0, 4, 6, 13].includes(i))
          .map((x) => x.ask('status').catch((e) => String(e))),
      ),
    ),
    n.mainChain.height,
  )
  const { readFileSync } = await import('node:fs')
  const rss = n.nodes.map((x) => {
    const m = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${x.pid}/status`, 'utf8'))
    return Math.round(+m![1]! / 1024)
  })
  console.log(
    'rss',
    rss.join(' '),
    'sum',
    rss.reduce((a, b) => a + b, 0),
  )
}
await n.stop()
