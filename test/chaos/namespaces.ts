import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Of its own: users, network and mounts; all of it is gone when its last process ends. */
const UNSHARE = ['unshare', '--user', '--map-root-user', '--net', '--mount'] as const
const PROBE =
  'ip link add probe0 type bridge && ip link add probe1 type veth peer name probe2 && ' +
  'unshare --net true && mount -t tmpfs none /mnt'

/** Why namespaces with links and mounts of their own cannot be had here; undefined: they can. */
export function namespacesRefusal(): string | undefined {
  const [command, ...args] = UNSHARE
  try {
    execFileSync(command, [...args, 'sh', '-c', PROBE], { stdio: ['ignore', 'ignore', 'pipe'] })
    return undefined
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string }
    const [reason = ''] = (stderr?.toString() ?? '').split('\n')
    return `no namespaces here: ${reason || message}`
  }
}

/** Runs a script of this folder with Node inside namespaces of its own. */
export function spawnInNamespaces(
  script: string,
  args: readonly string[],
  stdio: 'inherit' | ['ignore', 'pipe', 'inherit'],
): ChildProcess {
  const [command, ...flags] = UNSHARE
  const path = fileURLToPath(new URL(script, import.meta.url))
  return spawn(command, [...flags, process.execPath, path, ...args], { stdio })
}
