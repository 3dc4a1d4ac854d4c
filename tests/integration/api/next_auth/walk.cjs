// The real next-auth/react 4 against a Hub: what a browser would supply (location, relative URLs, cookies) stands in
// front of it; what it asks and understands is its own. Arguments: the Hub's address, the folder next-auth is installed in.
const { createRequire } = require("node:module");

const [base, folder] = process.argv.slice(2);
process.env.NEXTAUTH_URL = base;
process.env.NODE_ENV = "production";

const jar = new Map();
const asked = [];
const genuineFetch = globalThis.fetch;
globalThis.window = { location: { href: `${base}/start` }, addEventListener() {}, removeEventListener() {} };
globalThis.fetch = async (url, options = {}) => {
  const headers = new Headers(options.headers);
  headers.set("origin", base);
  if (jar.size) headers.set("cookie", [...jar].map(([name, value]) => `${name}=${value}`).join("; "));
  const answer = await genuineFetch(new URL(url, base), { ...options, headers, redirect: "manual" });
  asked.push(`${(options.method ?? "get").toUpperCase()} ${new URL(url, base).pathname} ${answer.status}`);
  for (const line of answer.headers.getSetCookie()) {
    const [pair, ...attributes] = line.split("; ");
    const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
    if (attributes.includes("Max-Age=0")) jar.delete(name);
    else jar.set(name, value);
  }
  return answer;
};

const client = createRequire(`${folder}/package.json`)("next-auth/react");

async function walk(provider, email, password) {
  const steps = { before: await client.getSession() };
  const wrong = { email, password: "wrong", redirect: false, callbackUrl: "/inbox" };
  steps.wrong = await client.signIn(provider, wrong);
  steps.stillOut = await client.getSession();
  steps.right = await client.signIn(provider, { ...wrong, password });
  steps.session = await client.getSession();
  steps.cookies = [...jar.keys()].sort();
  steps.signOut = await client.signOut({ redirect: false, callbackUrl: "/bye" });
  steps.after = await client.getSession();
  await client.signIn(provider, { email, password, callbackUrl: "/inbox" });
  steps.sentTo = window.location.href;
  window.location.href = `${base}/start`;
  await client.signOut({ callbackUrl: "/bye" });
  steps.sentOutTo = window.location.href;
  window.location.href = `${base}/start`;
  return steps;
}

(async () => {
  const { WALKER_PASSWORD: password } = process.env;
  const providers = await client.getProviders();
  const staff = await walk("credentials", "olga@letsbe.biz", password);
  const customer = await walk("customer", "maria@acme.com", password);
  process.stdout.write(JSON.stringify({ providers, staff, customer, asked }));
})();
