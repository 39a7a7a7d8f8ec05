import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { alias: { mayfly: new URL('client/index.ts', import.meta.url).pathname } },
  test: {
    include: ['test/**/*.test.ts'],
    // A test that waits for a process on a busy machine of two cores needs seconds; one that hangs must still end.
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
