/**
 * Lets input, painting and timers of a page have their turn. Checking one certificate of the main
 * network costs a page tens of milliseconds, so a client that checks many takes turns between them.
 * A message and no timer: a browser slows the timers of a hidden page to one in a second or more.
 */
export function nextTurn(): Promise<void> {
  const { port1, port2 } = new MessageChannel()
  const { promise, resolve } = Promise.withResolvers<void>()
  port1.addEventListener('message', () => {
    port1.close()
    resolve()
  })
  port1.start()
  port2.postMessage(undefined)
  return promise
}
