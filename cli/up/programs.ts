/** The compiled planes: this file is dist/cli/up/programs.js, next to dist/controller, dist/metadata and so on. */
export const programs = new URL('../../', import.meta.url)
