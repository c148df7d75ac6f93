/**
 * A TCP proxy whose connections break as networks break them, and a kill does not.
 *
 * | fault | who was connected sees |
 * |---|---|
 * | `freeze("both")` | nothing any more, and nothing is closed: a cable that was cut, a firewall that forgot the connection |
 * | `freeze("requests")` | what it sends is lost; what the other side says arrives |
 * | `freeze("replies")` | what it asks is done, and no answer arrives |
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
  /** Ends all connections. */
  readonly close: () => Promise<void>
}

interface Connection {
  readonly client: Socket
  readonly server: Socket
  readonly lost: Set<"requests" | "replies">
}

/** Before a server on this port of this machine. */
export const start = async (to: number): Promise<Proxy> => {
  const connections = new Set<Connection>()

  const forward = (connection: Connection, what: "requests" | "replies") => {
    const [from, to] = what === "requests"
      ? [connection.client, connection.server]
      : [connection.server, connection.client]
    from.on("data", (data) => {
      // what is lost is read all the same: whoever sends is not held up, and learns nothing
      if (!connection.lost.has(what)) to.write(data)
    })
    from.on("close", () => {
      if (connection.lost.has(what)) return
      connections.delete(connection)
      to.destroySoon()
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
    close: async () => {
      const closed = new Promise<void>((resolve) => listening.close(() => resolve()))
      for (const connection of connections) destroy(connection)
      await closed
    }
  }
}
