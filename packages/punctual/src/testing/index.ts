/**
 * Deterministic tests of programs that schedule. No test runner is needed.
 *
 * @since 0.1.0
 */
export * as Simulation from "./Simulation.ts"
export * as TestScheduler from "./TestScheduler.ts"
export * as TriggerArbitrary from "./TriggerArbitrary.ts"
