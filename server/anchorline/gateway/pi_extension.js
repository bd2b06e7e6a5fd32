// An extension for pi: it overrides the addresses of providers that `anchorline run` names in its environment.
export default function (pi) {
  const providers = JSON.parse(process.env.ANCHORLINE_PROVIDERS ?? "{}");
  for (const [name, baseUrl] of Object.entries(providers)) {
    pi.registerProvider(name, { baseUrl });
  }
}
