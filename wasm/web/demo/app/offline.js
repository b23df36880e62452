/** Keeps the site for times without a network, and says whether it is kept. */
export async function keepOffline(place) {
  const tell = () => {
    place.textContent = navigator.onLine ? "" : "No network: everything here still works.";
  };
  addEventListener("online", tell);
  addEventListener("offline", tell);
  tell();
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(new URL("service-worker.js", document.baseURI));
  } catch (error) {
    // The page works without, as long as there is a network.
    console.info(`This page is not kept for use without a network: ${error.message}`);
  }
}
