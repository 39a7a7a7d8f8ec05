/** The built planes: this file is dist/cli/up/programs.js, and they are dist/controller, dist/metadata and so on. */
export const programs = new URL('../../', import.meta.url)
