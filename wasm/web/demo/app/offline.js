/** Keeps the site for times without a network, and says when there is none. */
export async function keepOffline(place) {
  const tell = () => {
    place.textContent = navigator.onLine ? "" : "No network: what was loaded before still works.";
  };
  addEventListener("online", tell);
  addEventListener("offline", tell);
  tell();
  // There is none in an insecure page, nor where the user forbids it.
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(new URL("service-worker.js", document.baseURI));
    await control();
    keepRuntime();
  } catch (error) {
    console.info(`This page is not kept for times without a network: ${error.message}`);
  }
}

/** Waits until the service worker sees what the page asks for. */
function control() {
  if (navigator.serviceWorker.controller !== null) return;
  return new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
}

/** On the first visit the runtime may have been fetched before the service worker was there to keep it. */
function keepRuntime() {
  const observer = new PerformanceObserver((list) => {
    const urls = list.getEntries().map(({ name }) => name);
    navigator.serviceWorker.controller?.postMessage({ keep: urls });
  });
  observer.observe({ type: "resource", buffered: true });
}
