// Keeps the site for times without a network. Written in the old form, which every browser takes.
//
// `site.js` is made when the site is assembled: `self.SITE = { version, files }`. A change of it is a change of this worker, so a new
// version is fetched as a whole, beside the old one, and takes over when it is complete. Bundles are none of these files: the
// runtime keeps them itself, under their digests.
importScripts("site.js");

const { version, files } = self.SITE;
/** The page itself has two addresses. */
const KEPT = ["", ...files];
const PREFIX = "pannier-demo-";
const NAME = PREFIX + version;
/** The runtime is one of two builds: which one is known when the page asks for it. */
const isRuntime = (url) => /\/runtime\/wasm\/[^/]*\.wasm$/.test(url);

self.addEventListener("install", (event) => {
  event.waitUntil(install());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(activate());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (isRuntime(url)) event.respondWith(keptOrFetched(event));
  else if (isOfTheSite(url)) event.respondWith(kept(request));
});

self.addEventListener("message", (event) => {
  event.waitUntil(Promise.all(event.data.keep.filter(isRuntime).map(keep)));
});

async function install() {
  const cache = await caches.open(NAME);
  // Past the browser's own cache, which may hold files of another version.
  await cache.addAll(KEPT.map((file) => new Request(file || "./", { cache: "reload" })));
  await self.skipWaiting();
}

async function activate() {
  const others = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
  await Promise.all(others.map((name) => caches.delete(name)));
  await self.clients.claim();
}

function isOfTheSite(url) {
  const scope = new URL(self.registration.scope);
  if (!url.pathname.startsWith(scope.pathname)) return false;
  return KEPT.includes(url.pathname.slice(scope.pathname.length));
}

async function kept(request) {
  const cache = await caches.open(NAME);
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request);
}

async function keptOrFetched(event) {
  const cache = await caches.open(NAME);
  const found = await cache.match(event.request);
  if (found !== undefined) return found;
  const response = await fetch(event.request);
  // The page need not wait until its copy is kept.
  if (response.ok) event.waitUntil(cache.put(event.request, response.clone()));
  return response;
}

/** What the page has fetched without this worker. The browser still has it, so that little is sent a second time. */
async function keep(url) {
  const cache = await caches.open(NAME);
  if ((await cache.match(url)) === undefined) await cache.add(url);
}
