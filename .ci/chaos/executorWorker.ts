/**
 * A worker of a chaos run on executors: a thread or a process.
 */
import * as TaskWorker from "@punctual/node/TaskWorker"
import { handlers } from "./executorTasks.ts"

TaskWorker.serve(handlers)
