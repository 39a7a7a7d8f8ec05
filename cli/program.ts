import { Command, Help } from 'commander'
import { noteOf } from './api/open-job.ts'
import { painter } from './terminal/terminal.ts'
import { type AddVerb, type Cli, exitCodes } from './verb.ts'
import { bench } from './verbs/cluster/bench.ts'
import { context } from './verbs/cluster/context.ts'
import { demo } from './verbs/cluster/demo.ts'
import { drain } from './verbs/cluster/drain.ts'
import { env } from './verbs/cluster/env.ts'
import { gateway } from './verbs/cluster/gateway.ts'
import { keys } from './verbs/cluster/keys.ts'
import { logs } from './verbs/cluster/logs.ts'
import { nodes } from './verbs/cluster/nodes.ts'
import { open } from './verbs/cluster/open.ts'
import { status } from './verbs/cluster/status.ts'
import { top } from './verbs/cluster/top.ts'
import { up } from './verbs/cluster/up.ts'
import { watch } from './verbs/cluster/watch.ts'
import { end } from './verbs/jobs/end.ts'
import { jobs } from './verbs/jobs/jobs.ts'
import { register } from './verbs/jobs/register.ts'
import { renew } from './verbs/jobs/renew.ts'
import { resize } from './verbs/jobs/resize.ts'
import { ticket } from './verbs/jobs/ticket.ts'
import { bucket } from './verbs/objects/bucket.ts'
import { get } from './verbs/objects/get.ts'
import { kept } from './verbs/objects/kept.ts'
import { ls } from './verbs/objects/ls.ts'
import { put } from './verbs/objects/put.ts'
import { rm } from './verbs/objects/rm.ts'
import { stat } from './verbs/objects/stat.ts'
import { controllerProcess, metadataProcess, nodeProcess } from './verbs/server/processes.ts'
import { completion } from './verbs/shell/completion.ts'

/** The verbs in the order of the help. */
const groups: readonly (readonly [string, readonly AddVerb[]])[] = [
  [
    'A cluster:',
    [up, demo, status, top, watch, nodes, drain, logs, open, keys, gateway, context, env, bench],
  ],
  ['Jobs:', [jobs, register, resize, renew, ticket, end]],
  ['Processes that run by themselves:', [controllerProcess, metadataProcess, nodeProcess]],
  ['Objects of a job:', [put, get, ls, stat, rm, bucket, kept]],
  ['The shell:', [completion]],
]

const after = `
A cluster is found by --context or --dir of a verb, else by MAYFLY_URL and MAYFLY_API_KEY, else by the context in use
(mayfly context), else by the folder in which \`mayfly up\` keeps its state. With MAYFLY_TICKET the verbs about objects take no JOB.

Exit codes: ${exitCodes.done} done; ${exitCodes.failed} failed; ${exitCodes.misused} the command line is wrong; ${exitCodes.missing} there is no such object, bucket, job or node; ${exitCodes.interrupted} interrupted.

Examples:
  mayfly up                               # in another terminal
  mayfly register wordcount
  mayfly put wordcount greeting README.md
  mayfly get wordcount greeting`

/** The whole command. It never ends the process: a command line that is wrong throws a CommanderError. */
export function buildProgram(cli: Cli, version: string): Command {
  const paint = painter(cli.terminal)
  const program = new Command('mayfly')
    .description(
      'Mayfly: an elastic store for the short-lived data that serverless functions hand to one another.',
    )
    .usage('<verb> …')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'explain a verb')
    .addHelpCommand(new Command('help').argument('[verb]').summary('explain a verb').helpGroup('The shell:'))
    .configureHelp({
      // One line per verb; details are in the verb's own help.
      subcommandTerm: (verb) => verb.name(),
      styleTitle: (text) => paint('bold', text),
      styleCommandText: (text) => paint('cyan', text),
      styleOptionTerm: (text) => paint('cyan', text),
      styleSubcommandTerm: (text) => paint('cyan', text),
    })
    .configureOutput({
      writeOut: (text) => cli.terminal.print(text.replace(/\n$/, '')),
      writeErr: (text) => cli.terminal.printError(text.replace(/\n$/, '')),
      getOutHasColors: () => cli.terminal.colors === true,
      outputError: (text, write) => write(text.replace(/^error: /, 'mayfly: ')),
    })
    .addHelpText('after', after)
    .exitOverride()
  for (const [heading, verbs] of groups) {
    program.commandsGroup(heading)
    for (const add of verbs) add(program, cli)
  }
  for (const verb of allCommands(program)) verb.showHelpAfterError(usageOf(verb))
  program.showHelpAfterError('`mayfly help` lists the verbs')
  return program
}

function allCommands(command: Command): Command[] {
  return command.commands.flatMap((each) => [each, ...allCommands(each)])
}

/** The text after the message about a wrong command line. */
function usageOf(verb: Command): string {
  const note = noteOf(verb)
  return `usage: ${new Help().commandUsage(verb)}${note === undefined ? '' : `\n${note}`}`
}
