import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'

/** One measurement, Prometheus style: base units, counters end in _total. */
export interface Metric {
  /** With the ioex_ prefix. */
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter'
  readonly value: number
}

export const gauge = (name: string, help: string, value: number): Metric => {
  return { name: `ioex_${name}`, help, type: 'gauge', value }
}
export const counter = (name: string, help: string, value: number): Metric => {
  return { name: `ioex_${name}`, help, type: 'counter', value }
}

/** The text format of Prometheus 0.0.4; `before` is text of other measurements that go first. */
export function metricsText(metrics: readonly Metric[], before = ''): string {
  const taken = new Set(before.match(/(?<=^# TYPE )\S+/gm))
  let text = before === '' || before.endsWith('\n') ? before : `${before}\n`
  for (const { name, help, type, value } of metrics) {
    // A name stands once: a second node of the same process does not repeat what it shares.
    if (taken.has(name)) continue
    taken.add(name)
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`
  }
  return text
}

/** What every process measures of itself and of the disk that its data lies on. */
export async function processMetrics(dataFolder: string): Promise<Metric[]> {
  const { rss, heapUsed } = process.memoryUsage()
  const disk = await statfs(dataFolder).catch(() => undefined)
  return [
    gauge('process_resident_bytes', 'Memory that the process keeps', rss),
    gauge('process_heap_bytes', 'Memory of its JavaScript objects', heapUsed),
    gauge('process_uptime_seconds', 'Since the process started', Math.floor(process.uptime())),
    ...(disk ? [gauge('disk_free_bytes', 'Free on the data disk', disk.bavail * disk.bsize)] : []),
  ]
}

/** Bytes of the files directly in a folder; 0 if there is none. */
export async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [])
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
