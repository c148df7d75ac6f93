/**
 * A TCP proxy whose connections break as networks break them, and a kill does not.
 *
 * | fault | who was connected sees |
 * |---|---|
 * | `freeze("both")` | nothing any more, and nothing is closed: a cable that was cut, a firewall that forgot the connection |
 * | `freeze("requests")` | what it sends is lost; what the other side says arrives |
 * | `freeze("replies")` | what it asks is done, and no answer arrives |
 * | `cut()` | its connection is reset in the middle of the next answer |
 * | `delay(millis)` | everything arrives, later, until the delay is 0 again |
 * | `refuse(true)` | no new connection is accepted, until `refuse(false)` |
 *
 * The first four are of the connections that are there; new ones are as usual. So a client that holds on to what it has
 * never comes back, and one that gives it up does at once. A server is not told either that its client has gone.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"

/** What of a connection no longer arrives. */
export type Lost = "both" | "requests" | "replies"

export interface Proxy {
  readonly port: number
  /** Connections that are not frozen. */
  readonly alive: number
  /** Answers how many connections it was. */
  readonly freeze: (lost: Lost) => number
  readonly cut: () => number
  readonly delay: (millis: number) => void
  /** Ends once it is so. */
  readonly refuse: (refusing: boolean) => Promise<void>
  /** Ends all connections. */
  readonly close: () => Promise<void>
}

interface Connection {
  readonly client: Socket
  readonly server: Socket
  readonly lost: Set<"requests" | "replies">
  /** Whether it ends in the middle of the next answer. */
  cut: boolean
}

/** Before a server on this port of this machine. */
export const start = async (to: number): Promise<Proxy> => {
  const connections = new Set<Connection>()
  let delay = 0

  /** Writes in order, each text no sooner than the delay at its arrival says. */
  const later = (to: Socket) => {
    const waiting: Array<{ readonly data: Buffer | undefined; readonly at: number }> = []
    const flush = () => {
      while (waiting.length > 0 && waiting[0]!.at <= performance.now()) {
        const { data } = waiting.shift()!
        if (data === undefined) to.destroySoon()
        else to.write(data)
      }
      if (waiting.length > 0) setTimeout(flush, waiting[0]!.at - performance.now())
    }
    return (data: Buffer | undefined) => {
      waiting.push({ data, at: Math.max(performance.now() + delay, waiting.at(-1)?.at ?? 0) })
      if (waiting.length === 1) flush()
    }
  }

  const forward = (connection: Connection, what: "requests" | "replies") => {
    const [from, to] = what === "requests"
      ? [connection.client, connection.server]
      : [connection.server, connection.client]
    const pass = later(to)
    from.on("data", (data: Buffer) => {
      // what is lost is read all the same: whoever sends is not held up, and learns nothing
      if (connection.lost.has(what)) return
      if (!connection.cut || what === "requests") return pass(data)
      connection.lost.add("replies")
      connections.delete(connection)
      from.destroy()
      to.write(data.subarray(0, data.length >> 1), () => to.resetAndDestroy())
    })
    from.on("close", () => {
      if (connection.lost.has(what)) return
      connections.delete(connection)
      pass(undefined)
    })
    from.on("error", () => {})
  }

  const accept = (client: Socket) => {
    const connection = {
      client,
      server: connect({ port: to, host: "127.0.0.1", noDelay: true }),
      lost: new Set<"requests" | "replies">(),
      cut: false
    }
    connections.add(connection)
    forward(connection, "requests")
    forward(connection, "replies")
  }
  const listen = (port: number) =>
    new Promise<Server>((resolve) => {
      const server = createServer({ noDelay: true }, accept)
      server.listen(port, "127.0.0.1", () => resolve(server))
    })
  let listening: Server | undefined = await listen(0)
  const { port } = listening.address() as AddressInfo

  const alive = () => [...connections].filter(({ lost }) => lost.size === 0)
  const destroy = ({ client, server }: Connection) => {
    client.destroy()
    server.destroy()
  }

  return {
    port,
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
      for (const connection of those) connection.cut = true
      return those.length
    },
    delay: (millis) => {
      delay = millis
    },
    refuse: async (refusing) => {
      // it listens no more at once, and is closed when its connections are
      if (refusing) {
        listening?.close()
        listening = undefined
      } else listening ??= await listen(port)
    },
    close: async () => {
      const closed = new Promise<void>((resolve) =>
        listening === undefined ? resolve() : listening.close(() => resolve())
      )
      for (const connection of connections) destroy(connection)
      await closed
    }
  }
}
