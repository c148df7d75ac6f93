/**
 * Processes of a chaos run: each writes lines of JSON into a file of its own, and is killed and frozen.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readFileSync } from "node:fs"

export interface Process {
  /** What it tells. */
  readonly file: string
  readonly child: ChildProcess
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>
  killedAt: number | undefined
  readonly frozen: Array<{ readonly from: number; to: number }>
}

export const wait = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** With `quiet` what it complains of is in a file beside that of its lines. */
export const start = (
  script: string,
  file: string,
  args: ReadonlyArray<string>,
  { env = {}, quiet = false }: { readonly env?: Readonly<Record<string, string>>; readonly quiet?: boolean } = {}
): Process => {
  const errors = quiet ? openSync(`${file}.errors`, "a") : undefined
  const child = spawn(process.execPath, ["--no-warnings", script, ...args], {
    stdio: ["ignore", "inherit", errors ?? "inherit"],
    env: { ...process.env, ...env }
  })
  if (errors !== undefined) closeSync(errors)
  return {
    file,
    child,
    exited: new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? String(signal)))),
    killedAt: undefined,
    frozen: []
  }
}

export const kill = async (process: Process): Promise<void> => {
  process.killedAt = Date.now()
  process.child.kill("SIGKILL")
  await process.exited
}

export const isFrozen = ({ frozen }: Process): boolean => frozen.some(({ to }) => to === Infinity)

export const freeze = async (process: Process, millis: number): Promise<void> => {
  const freeze = { from: Date.now(), to: Infinity }
  process.frozen.push(freeze)
  process.child.kill("SIGSTOP")
  await wait(millis)
  process.child.kill("SIGCONT")
  // what it does in the moment after it thaws, it decided before
  freeze.to = Date.now() + 1_000
}

/** The lines it has written; one that it was killed in the middle of is none. */
export const linesOf = <A>({ file }: Process): ReadonlyArray<A> =>
  existsSync(file)
    ? readFileSync(file, "utf8").split("\n").filter((line) => line.endsWith("}")).map((line) => JSON.parse(line) as A)
    : []

/** How late this process itself comes to its turns, at most, in milliseconds. */
export const watchLateness = (): { readonly worst: () => number; readonly stop: () => void } => {
  let worst = 0
  let due = performance.now() + 20
  const timer = setInterval(() => {
    worst = Math.max(worst, performance.now() - due)
    due = performance.now() + 20
  }, 20)
  return { worst: () => worst, stop: () => clearInterval(timer) }
}

/** Milliseconds for what takes so many on an idle machine, and some hundred turns of processes that wait for a core. */
export const patience = (millis: number, late: number): number => Math.round(millis + 50 * late)
