import { goProgram } from './go-program.ts'

/** The reference implementation of the Compose specification, which checks files. */
export const compose = goProgram({
  name: 'compose-spec',
  title: 'The check of Compose files',
  module: 'github.com/compose-spec/compose-go/v2/cmd@latest',
})
