// Keeps the site for times without a network. Written in the old form, which every browser takes.
//
// `site.js` is made when the site is assembled: `self.SITE = { version, files }`. A change of it is a change of this worker, so a new
// version is fetched as a whole, beside the old one, and takes over when it is complete. Bundles are none of these files: the
// runtime keeps them itself, under their digests.
importScripts("site.js");

const { version, files } = self.SITE;
const PREFIX = "pannier-demo-";
const NAME = PREFIX + version;
/** The runtime is one of two builds: which one is known when the page asks for it. */
const KEPT_WHEN_ASKED_FOR = /\/runtime\/wasm\/[^/]*\.wasm$/;

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
  if (KEPT_WHEN_ASKED_FOR.test(url.pathname)) event.respondWith(keptOrFetched(request));
  else if (isOfTheSite(url)) event.respondWith(kept(request));
});

async function install() {
  const cache = await caches.open(NAME);
  // Past the browser's own cache, which may hold files of another version.
  await cache.addAll(files.map((file) => new Request(file, { cache: "reload" })));
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
  const path = url.pathname.slice(scope.pathname.length);
  return path === "" || files.includes(path);
}

async function kept(request) {
  const cache = await caches.open(NAME);
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request);
}

async function keptOrFetched(request) {
  const cache = await caches.open(NAME);
  const found = await cache.match(request);
  if (found !== undefined) return found;
  const response = await fetch(request);
  // Its stream is for the page; what is kept is a copy.
  if (response.ok) await cache.put(request, response.clone()).catch(() => {});
  return response;
}
