import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, connect, type Server, type Socket } from 'node:net'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** Where everybody is who is not cut off. */
const MAIN_BRIDGE = 'side0'
/** Address of the process that owns the switchboard. */
export const SUPERVISOR = '10.77.0.254'

/**
 * A network of network namespaces, one for each node, whose links a test plugs from one bridge
 * into another. Works only inside namespaces of its own.
 */
export class Switchboard {
  readonly #holders = new Map<string, ChildProcess>()
  readonly #bridges = new Set<string>()
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()

  private constructor() {}

  static async open(): Promise<Switchboard> {
    const board = new Switchboard()
    await run('ip', ['link', 'set', 'lo', 'up'])
    await board.#bridge(MAIN_BRIDGE)
    await run('ip', ['address', 'add', `${SUPERVISOR}/24`, 'dev', MAIN_BRIDGE])
    return board
  }

  /** Makes a namespace for a node; gives its address there. */
  async add(name: string): Promise<string> {
    const address = `10.77.0.${this.#holders.size + 1}`
    // Keeps the namespace until its input ends, which it does with this process.
    const holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#holders.set(name, holder)
    holder.stdin.write('\n')
    await once(holder.stdout, 'data')
    const [pid, port] = [String(holder.pid), linkOf(name)]
    const peer = ['peer', 'name', 'eth0', 'netns', pid]
    await run('ip', ['link', 'add', port, 'type', 'veth', ...peer])
    await run('ip', ['link', 'set', port, 'master', MAIN_BRIDGE, 'up'])
    const inside = ['link set lo up', `address add ${address}/24 dev eth0`, 'link set eth0 up']
    for (const command of inside) {
      const [launcher, ...flags] = this.launcherOf(name) as [string, ...string[]]
      await run(launcher, [...flags, 'ip', ...command.split(' ')])
    }
    return address
  }

  /** Runs a command in a node's namespace. */
  launcherOf(name: string): readonly string[] {
    const holder = this.#holders.get(name)
    if (!holder) throw new Error(`no namespace for ${name}`)
    return ['nsenter', `--net=/proc/${holder.pid}/ns/net`, '--']
  }

  /** Only nodes of one group reach each other; `group` 0 reaches the supervisor too. */
  async move(name: string, group: number): Promise<void> {
    const bridge = `side${group}`
    await this.#bridge(bridge)
    await run('ip', ['link', 'set', linkOf(name), 'master', bridge])
  }

  /** Takes what comes to a port of this side and passes it on. */
  async forward(from: { host: string; port: number }, to: { host: string; port: number }) {
    const server = createServer((near) => {
      const far = connect(to)
      near.pipe(far).pipe(near)
      for (const socket of [near, far]) {
        this.#sockets.add(socket)
        socket.on('error', () => undefined)
        socket.on('close', () => {
          this.#sockets.delete(socket)
          near.destroy()
          far.destroy()
        })
      }
    })
    server.listen(from.port, from.host)
    await once(server, 'listening')
    this.#servers.push(server)
  }

  close(): void {
    for (const server of this.#servers) server.close()
    // Whose other end went with its namespace never hears that it is over.
    for (const socket of this.#sockets) socket.destroy()
    for (const holder of this.#holders.values()) holder.kill('SIGKILL')
  }

  async #bridge(name: string): Promise<void> {
    if (this.#bridges.has(name)) return
    this.#bridges.add(name)
    await run('ip', ['link', 'add', name, 'type', 'bridge'])
    await run('ip', ['link', 'set', name, 'up'])
  }
}

/** Names of links are short. */
function linkOf(name: string): string {
  return `p-${name}`.slice(0, 15)
}
