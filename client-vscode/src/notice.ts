/** What a command can't do now though nothing failed: shown as information, not as an error. */
export class Notice extends Error {
  override readonly name = "Notice";
}
