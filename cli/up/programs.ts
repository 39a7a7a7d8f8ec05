/** The compiled planes: this file is dist/cli/up/programs.js, next to dist/controller, dist/metadata and so on. */
export const programs = new URL('../../', import.meta.url)

/**
 * Flags of the gateway's process: V8 collects garbage once the heap and the buffers outside it have grown by this many MiB. Node's HTTP server
 * copies each piece of a body into a new buffer, so that with V8's own limit, some 8 MiB, a PUT of 1 MiB costs 1.4 times as much CPU.
 */
export const gatewayFlags = ['--initial-old-space-size=64']
