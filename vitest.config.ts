import { defineConfig } from "vitest/config"
import projects from "./vitest.workspace.ts"

export default defineConfig({
  test: {
    projects,
    globalSetup: ".ci/testServersSetup.ts",
    passWithNoTests: true,
    // one more than the default: many tests wait for servers and processes
    maxWorkers: "100%"
  }
})
