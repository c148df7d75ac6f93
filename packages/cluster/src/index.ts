/**
 * Runs of Punctual tasks carried by the machines of an Effect Cluster.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as ClusterExecutor from "./ClusterExecutor.ts"
