/** Bounds of the Kubernetes fleet. */

/** One request to the API server, until its answer is read; a watch, until it begins. */
export const API_CALL_MS_MAX = 10_000
/** Requests to the API server at once: a burst of starts is sent in turns, and leaves the API server to others. */
export const API_CALLS_MAX = 16
/** Pods and Deployments on one page of a list. */
export const API_PAGE_MAX = 500
/** After this time the API server ends a watch, and it is begun anew where it ended. */
export const WATCH_SECONDS = 60
/** A watch that the API server has not ended by then carries nothing any more. */
export const WATCH_MS_MAX = (WATCH_SECONDS + 10) * 1000
/** All pods are listed again after this time, in case an event was lost. */
export const RESYNC_MS = 10 * 60_000
/** Credentials and CA are read again after this time. Tokens are read again every minute by the library. */
export const CREDENTIALS_MS = 5 * 60_000
/** The label of the leader is looked at again after this time, as a leader that was paused may have set it late. */
export const LEADER_LABEL_MS = 60_000
/** The PodDisruptionBudget is applied again after this time at the earliest. */
export const BUDGET_MS = 1_000
/** How long a start of the controller waits for the API server to list the pods. */
export const FIRST_LIST_MS_MAX = 5_000
/** A pod whose image cannot be pulled, or whose container cannot be made, is given up after this time: a registry may be back by then. */
export const POD_FAILING_MS_MAX = 30_000
/** Default, and bounds, of `startSeconds`: a cluster autoscaler adds a machine in one to three minutes. */
export const START_SECONDS_DEFAULT = 180
export const START_SECONDS_MIN = 5
export const START_SECONDS_MAX = 3_600
/** A drain ends this long before Kubernetes kills the container. */
export const DRAIN_MARGIN_SECONDS = 10
/** What Kubernetes grants by default between SIGTERM and SIGKILL. */
export const GRACE_SECONDS_DEFAULT = 30
/** Characters of Kubernetes' reason in an event. */
export const REASON_LENGTH_MAX = 500
/** Name of everything that the fleet makes begins with it; with the id of a node it fits a DNS label of 63. */
export const NAME_LENGTH_MAX = 40
