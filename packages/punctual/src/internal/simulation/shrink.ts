/**
 * Smaller scripts than one that fails: fewer steps, nodes, less time, plainer clocks and points.
 */
import type { Script, Step } from "./script.ts"

/**
 * Tries candidates, greedily: each one that fails too is gone on from, until none does or the budget is spent.
 */
export const shrink = (script: Script, fails: (candidate: Script) => boolean, budget: number): Script => {
  let best = script
  let left = budget
  for (let progress = true; progress && left > 0;) {
    progress = false
    for (const candidate of candidates(best)) {
      if (left-- <= 0) return best
      if (!fails(candidate)) continue
      best = candidate
      progress = true
      break
    }
  }
  return best
}

function* candidates(script: Script): Iterable<Script> {
  const { duration, latency, skews, steps } = script
  // Large pieces first: half of the steps, a quarter, one.
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < steps.length; from += size) {
      yield { ...script, steps: [...steps.slice(0, from), ...steps.slice(from + size)] }
    }
  }
  if (skews.length > 1) {
    for (let gone = skews.length - 1; gone >= 0; gone--) yield withoutNode(script, gone)
  }
  if (latency > 0) yield { ...script, latency: 0 }
  if (skews.some((skew) => skew !== 0)) yield { ...script, skews: skews.map(() => 0) }
  const shorter = Math.floor(duration / 2)
  if (shorter >= 1_000) {
    yield { ...script, duration: shorter, steps: steps.filter((step) => step.at <= shorter) }
  }
  for (let i = 0; i < steps.length; i++) {
    for (const step of plainer(steps[i]!)) yield { ...script, steps: steps.map((old, j) => j === i ? step : old) }
  }
}

const withoutNode = (script: Script, gone: number): Script => ({
  ...script,
  skews: script.skews.filter((_, node) => node !== gone),
  steps: script.steps.flatMap((step) =>
    "fault" in step && step.node === gone
      ? []
      : [step.node < gone ? step : { ...step, node: Math.max(0, step.node - 1) }]
  )
})

function* plainer(step: Step): Iterable<Step> {
  if (!("fault" in step)) return
  if ("point" in step && step.point !== null && step.point.skip > 0) {
    yield { ...step, point: { ...step.point, skip: 0 } } as Step
  }
  if ("for" in step && step.for > 1_000) {
    // To round numbers, then to smaller ones.
    const rounded = Math.floor(step.for / 1_000) * 1_000
    if (rounded !== step.for) yield { ...step, for: rounded } as Step
    else yield { ...step, for: Math.floor(rounded / 2_000) * 1_000 } as Step
  }
}
