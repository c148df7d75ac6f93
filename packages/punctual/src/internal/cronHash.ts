/**
 * `H`: values that the id of a task decides, so that many tasks with one expression are spread, each staying where it is.
 *
 *     H          one value of the field            H(0-29)      one value of the range
 *     H/10       every tenth, from one of 0-9      H(0-29)/10   the same inside of the range
 */
import type { Fields, HashRange, Parsed } from "./cronModel.ts"
import { hashText, mix } from "./triggerHash.ts"

const fields: ReadonlyArray<HashRange["field"]> = ["seconds", "minutes", "hours", "days", "months", "weekdays"]

const valuesOf = ({ field, high, low, step }: HashRange, seed: number): Array<number> => {
  const hash = mix(seed, fields.indexOf(field) + 1) >>> 0
  if (step === undefined) return [low + hash % (high - low + 1)]
  const values: Array<number> = []
  for (let value = low + hash % step; value <= high; value += step) values.push(value)
  return values
}

/** The fields of an expression for one task. */
export const resolve = (self: Parsed, seed: string): Fields => {
  const hash = hashText(seed)
  const resolved: { -readonly [K in keyof Fields]: Fields[K] } = { ...self }
  for (const range of self.hashes) {
    const values = new Set([...resolved[range.field], ...valuesOf(range, hash)])
    resolved[range.field] = Array.from(values).sort((a, b) => a - b)
  }
  return resolved
}
