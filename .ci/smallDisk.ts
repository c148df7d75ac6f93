/**
 * A disk that can really be full: a file system of some megabytes, in memory, where this process may mount one (root's).
 */
import { execFileSync } from "node:child_process"
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface SmallDisk {
  readonly path: string
  /** Takes all the space that is left; answers what gives it back. */
  readonly fill: () => () => void
  readonly unmount: () => void
}

/** Mounts one, in an empty folder or a new one; `undefined` where that is not allowed. */
export const smallDisk = (
  megabytes: number,
  at?: { readonly path: string; readonly uid: number; readonly gid: number }
): SmallDisk | undefined => {
  const path = at?.path ?? mkdtempSync(join(tmpdir(), "punctual-disk-"))
  const owner = at === undefined ? "" : `,uid=${at.uid},gid=${at.gid},mode=0700`
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m${owner}`, "tmpfs", path], { stdio: "ignore" })
  } catch {
    if (at === undefined) rmdirSync(path)
    return undefined
  }
  return {
    path,
    fill: () => {
      const filler = join(path, "filler")
      takeAll(filler)
      return () => rmSync(filler)
    },
    unmount: () => {
      execFileSync("umount", ["-l", path])
      if (at === undefined) rmdirSync(path)
    }
  }
}

const takeAll = (filler: string): void => {
  const file = openSync(filler, "w")
  try {
    for (const size of [65_536, 4096, 1]) {
      try {
        while (writeSync(file, Buffer.alloc(size)) > 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error
      }
    }
  } finally {
    closeSync(file)
  }
}

/** Whether this process may mount one. */
export const mayMount: boolean = (() => {
  const disk = smallDisk(1)
  disk?.unmount()
  return disk !== undefined
})()
