/**
 * Persistent, typed scheduling for Effect programs.
 *
 * @since 0.1.0
 */
export * as Activity from "./Activity.ts"
export * as Calendar from "./Calendar.ts"
export * as CronExpression from "./CronExpression.ts"
export { CurrentRun } from "./CurrentRun.ts"
export * as Executor from "./Executor.ts"
export * as Executors from "./Executors.ts"
export * as Lifecycle from "./Lifecycle.ts"
export * as MemoryTaskStore from "./MemoryTaskStore.ts"
export * as Policy from "./Policy.ts"
export * as RecurrenceRule from "./RecurrenceRule.ts"
export * as SchedulerError from "./SchedulerError.ts"
export * as SchedulerEvent from "./SchedulerEvent.ts"
export * as Task from "./Task.ts"
export * as TaskHandle from "./TaskHandle.ts"
export * as TaskInfo from "./TaskInfo.ts"
export * as TaskRecord from "./TaskRecord.ts"
export * as TaskRegistry from "./TaskRegistry.ts"
export * as TaskRunner from "./TaskRunner.ts"
export * as TaskScheduler from "./TaskScheduler.ts"
export * as TaskSchedulerClient from "./TaskSchedulerClient.ts"
export * as TaskStore from "./TaskStore.ts"
export * as TaskStores from "./TaskStores.ts"
export * as Trigger from "./Trigger.ts"
export * as TriggerDefinitions from "./TriggerDefinitions.ts"
