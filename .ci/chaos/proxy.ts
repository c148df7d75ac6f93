/**
 * A TCP proxy whose connections break in the ways in which networks break them, and a kill does not.
 *
 * | fault | who was connected sees |
 * |---|---|
 * | `freeze("both")` | nothing any more, and nothing is closed: a cable that was cut, a firewall that forgot the connection |
 * | `freeze("requests")` | what it sends is lost; what the other side says arrives |
 * | `freeze("replies")` | what it asks is done, and no answer arrives |
 * | `delay` | everything, later |
 * | `cut` | an end, at once: what was on its way is lost |
 *
 * They are of the connections that are there; new ones are as usual. So a client that holds on to what it has never comes
 * back, and one that gives it up does at once. A server is not told either that its client has gone.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

/** What of a connection no longer arrives. */
export type Lost = "both" | "requests" | "replies"

export interface Proxy {
  readonly port: number
  /** Connections that are not frozen. */
  readonly alive: number
  /** Answers how many connections it was. */
  readonly freeze: (lost: Lost) => number
  readonly cut: () => number
  /** Each piece of what is said from now on, on all connections, is on its way for so many milliseconds. */
  readonly delay: (millis: number) => void
  /** Waits for the next request that has this text, passes it on, and freezes the replies of its connection. */
  readonly loseReplyTo: (text: string) => Promise<void>
  /** Ends all connections. */
  readonly close: () => Promise<void>
}

interface Connection {
  readonly client: Socket
  readonly server: Socket
  readonly lost: Set<"requests" | "replies">
}

const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** Before a server on this port of this machine. */
export const start = async (to: number): Promise<Proxy> => {
  const connections = new Set<Connection>()
  const awaited: Array<{ readonly text: string; readonly found: () => void }> = []
  let millis = 0

  const forward = (connection: Connection, what: "requests" | "replies") => {
    const [from, to] = what === "requests"
      ? [connection.client, connection.server]
      : [connection.server, connection.client]
    let last = Promise.resolve()
    const inTurn = (arrive: () => void) => {
      last = last.then(() => millis === 0 ? undefined : wait(millis)).then(() => {
        if (!connection.lost.has(what)) arrive()
      })
    }
    from.on("data", (data) => {
      // what is lost is read all the same: whoever sends is not held up, and learns nothing
      if (connection.lost.has(what)) return
      if (what === "requests") {
        const i = awaited.findIndex(({ text }) => data.includes(text))
        if (i >= 0) {
          connection.lost.add("replies")
          awaited.splice(i, 1)[0]!.found()
        }
      }
      inTurn(() => to.write(data))
    })
    from.on("close", () => {
      if (!connection.lost.has(what)) connections.delete(connection)
      inTurn(() => to.destroySoon())
    })
    from.on("error", () => {})
  }

  const listening = createServer({ noDelay: true }, (client) => {
    const connection = {
      client,
      server: connect({ port: to, host: "127.0.0.1", noDelay: true }),
      lost: new Set<never>()
    }
    connections.add(connection)
    forward(connection, "requests")
    forward(connection, "replies")
  })
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve))

  const alive = () => [...connections].filter(({ lost }) => lost.size === 0)
  const destroy = ({ client, server }: Connection) => {
    client.destroy()
    server.destroy()
  }

  return {
    port: (listening.address() as AddressInfo).port,
    get alive() {
      return alive().length
    },
    freeze: (lost) => {
      const those = alive()
      for (const connection of those) {
        if (lost !== "replies") connection.lost.add("requests")
        if (lost !== "requests") connection.lost.add("replies")
      }
      return those.length
    },
    cut: () => {
      const those = alive()
      for (const connection of those) destroy(connection)
      return those.length
    },
    delay: (by) => {
      millis = by
    },
    loseReplyTo: (text) => new Promise((resolve) => awaited.push({ text, found: resolve })),
    close: async () => {
      const closed = new Promise<void>((resolve) => listening.close(() => resolve()))
      for (const connection of connections) destroy(connection)
      await closed
    }
  }
}
