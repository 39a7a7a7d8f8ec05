import { programs } from '../../up/programs.ts'
import { type AddVerb, addVerb, onRun } from '../../verb.ts'

interface Process {
  readonly summary: string
  /** The folder of its plane. */
  readonly plane: string
  /** The variables that it needs, besides those that all need. */
  readonly needs: string
  /** Command lines that work once the variables are set. */
  readonly examples: readonly [string, string]
}

/** A verb that runs one server process of a cluster; `mayfly up` starts the same programs. */
function processVerb(name: string, { summary, plane, needs, examples }: Process): AddVerb {
  return (parent, cli) => {
    const verb = addVerb(parent, name, {
      summary,
      details: `Everything is set by environment variables and the files that they name (docs/reference/config.md): MAYFLY_LISTEN, MAYFLY_ADVERTISE, MAYFLY_METRICS_LISTEN, MAYFLY_SECRET_FILE, ${needs}.\nLog lines go to standard error. SIGTERM ends it in order.`,
      examples,
    })
    // The program runs until a signal ends it, and sets the exit code itself.
    onRun(verb, cli, async () => void (await import(new URL(`${plane}/main.js`, programs).href)))
  }
}

export const controllerProcess = processVerb('controller', {
  summary: 'run the controller of a cluster whose other processes run by themselves',
  plane: 'controller',
  needs: 'MAYFLY_API_KEY_FILE, MAYFLY_CLUSTER_FILE, MAYFLY_DIR, MAYFLY_KEPT_DIR',
  examples: ['mayfly controller', 'MAYFLY_LISTEN=[::1]:7400 mayfly controller'],
})

export const metadataProcess = processVerb('metadata', {
  summary: 'run a metadata server',
  plane: 'metadata',
  needs: 'MAYFLY_CONTROLLER_URL, MAYFLY_METADATA_ID, MAYFLY_DIR',
  examples: ['mayfly metadata', 'MAYFLY_METADATA_ID=m-2 mayfly metadata'],
})

export const nodeProcess = processVerb('node', {
  summary: 'run a storage node, which joins the cluster of its controller',
  plane: 'storage-node',
  needs:
    'MAYFLY_CONTROLLER_URL, MAYFLY_NODE_CLASS, MAYFLY_NODE_RAM_BYTES, MAYFLY_NODE_BYTES_PER_SECOND, MAYFLY_KEPT_DIR',
  examples: ['mayfly node', 'MAYFLY_LISTEN=[::1]:0 mayfly node'],
})
