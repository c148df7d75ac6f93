/**
 * A proxy before a server, which counts what a client sends: statements of Postgres and MySQL, commands of Redis and
 * MongoDB; and bytes both ways.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import type { Place } from "../places.ts"

export interface Wire {
  /** Of the proxy. */
  readonly url: string
  readonly reset: () => void
  readonly counts: () => { readonly commands: number; readonly bytes: number }
  readonly close: () => void
}

/** Counts the messages of the Postgres protocol that run a statement: Query and Execute. */
const postgres = (count: () => void) => {
  let rest: Buffer = Buffer.alloc(0)
  // the first message, or two where encryption is asked for, has no byte that says its type
  let started = false
  return (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (true) {
      const head = started ? 1 : 0
      if (rest.length < head + 4) return
      const end = head + rest.readInt32BE(head)
      if (rest.length < end) return
      if (started) {
        const type = String.fromCharCode(rest[0]!)
        if (type === "Q" || type === "E") count()
      } else started = end !== 8
      rest = rest.subarray(end)
    }
  }
}

/** Counts arrays of bulk strings, which is how clients send commands. */
const redis = (count: () => void) => {
  let rest: Buffer = Buffer.alloc(0)
  let items = 0
  return (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (true) {
      const line = rest.indexOf("\r\n")
      if (line < 0) return
      const number = Number(rest.toString("latin1", 1, line))
      if (rest[0] === 0x2a) {
        items = number
        count()
        rest = rest.subarray(line + 2)
      } else {
        const end = line + 2 + number + 2
        if (rest.length < end) return
        items--
        rest = rest.subarray(end)
      }
    }
  }
}

/** Counts the packets that begin a command: a statement as text, or a prepared one. */
const mysql = (count: () => void) => {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 5) {
      const end = 4 + rest.readUIntLE(0, 3)
      if (rest.length < end) return
      if (rest[3] === 0 && (rest[4] === 0x03 || rest[4] === 0x17)) count()
      rest = rest.subarray(end)
    }
  }
}

/** Counts messages; those of its driver that only ask how the server is are among them. */
const mongodb = (count: () => void) => {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
      count()
      rest = rest.subarray(rest.readInt32LE(0))
    }
  }
}

const readers = { postgres, redis, mysql, mongodb }

export const counted = (place: Place, to: string): Promise<Wire> =>
  new Promise((resolve) => {
    if (!(place in readers)) throw new Error(`nothing goes over a wire to ${place}`)
    const reader = readers[place as keyof typeof readers]
    const target = new URL(to)
    let commands = 0
    let bytes = 0
    const sockets = new Set<Socket>()
    const proxy = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname)
      const read = reader(() => commands++)
      for (const socket of [client, upstream]) {
        sockets.add(socket)
        socket.setNoDelay(true)
        socket.on("error", () => socket.destroy())
      }
      client.on("data", (chunk: Buffer) => {
        bytes += chunk.length
        read(chunk)
        upstream.write(chunk)
      })
      upstream.on("data", (chunk: Buffer) => {
        bytes += chunk.length
        client.write(chunk)
      })
      client.on("close", () => upstream.destroy())
      upstream.on("close", () => client.destroy())
    })
    proxy.listen(0, "127.0.0.1", () => {
      const url = new URL(to)
      url.hostname = "127.0.0.1"
      url.port = String((proxy.address() as AddressInfo).port)
      resolve({
        url: url.href,
        reset: () => {
          commands = 0
          bytes = 0
        },
        counts: () => ({ commands, bytes }),
        close: () => {
          proxy.close()
          for (const socket of sockets) socket.destroy()
        }
      })
    })
  })
