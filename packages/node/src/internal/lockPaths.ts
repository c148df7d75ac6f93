/**
 * Where the file of a lock stands: a path with placeholders.
 *
 * @since 0.1.0
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { hostname } from "node:os"
import { resolve } from "node:path"
import process from "node:process"
import { InvalidOption } from "punctual/SchedulerError"

const placeholders = ["{store}", "{name}", "{pid}", "{ppid}", "{pgrp}", "{host}"]

/** Answers the path of each name, or what is wrong with the template. */
export const pathsOf = (path: string, store: string): ((name: string) => string) | InvalidOption => {
  const refuse = (message: string) => new InvalidOption({ option: "path", value: path, message: `path: ${message}` })
  if (path === "") return refuse("it is empty: write one such as /run/my-program/{name}.lock")
  if (path.includes("\0")) return refuse("no file can have a NUL in its name")
  for (const [found] of path.matchAll(/\{[^{}]*\}?|\}/g)) {
    if (!placeholders.includes(found)) {
      return refuse(`${JSON.stringify(found)} stands for nothing, only ${placeholders.join(", ")} do`)
    }
  }
  if (!path.includes("{name}")) return refuse("it has no {name}, so that locks of different names would be one")
  const group = path.includes("{pgrp}") ? groupOf() : ""
  if (group === undefined) return refuse("{pgrp}: this system has no process groups that could be asked for")
  const filled = path.replaceAll("{store}", () => fileName(store))
    .replaceAll("{pid}", String(process.pid))
    .replaceAll("{ppid}", String(process.ppid))
    .replaceAll("{pgrp}", group)
    .replaceAll("{host}", () => fileName(hostname()))
  const template = resolve(filled)
  return (name) => template.replaceAll("{name}", () => fileName(name))
}

/** The process group, which Node does not say. */
const groupOf = (): string | undefined => {
  try {
    // pid (command) state ppid pgrp …; the command may hold anything
    const stat = readFileSync("/proc/self/stat", "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]
  } catch {
    try {
      return execFileSync("ps", ["-o", "pgid=", "-p", String(process.pid)], { encoding: "utf8" }).trim()
    } catch {
      return undefined
    }
  }
}

/** A name that every file system keeps apart from all others: what is not plain gets a hash, which no plain name has. */
const fileName = (name: string): string => {
  if (/^[a-z0-9_][a-z0-9_.-]{0,99}$/.test(name) && !reserved.test(name)) return name
  const readable = name.toLowerCase().replace(/[^a-z0-9_-]+/g, "-").slice(0, 40)
  return `${readable}~${createHash("sha256").update(name).digest("hex").slice(0, 32)}`
}

/** Devices of Windows, with any extension, and names that it would shorten. */
const reserved = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|\.$/
