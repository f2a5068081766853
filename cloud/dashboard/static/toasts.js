// Short messages in the corner when an alert fires or is resolved.

const SHOWN_MS = 8000;
const MOST = 4;

export function announce(notice) {
  const corner = document.getElementById("toasts");
  const toast = document.createElement("p");
  toast.className = "toast";
  toast.dataset.status = notice.status;
  toast.textContent = `${notice.status === "resolved" ? "Resolved" : "Alert"}: ${notice.summary}`;
  corner.append(toast);
  while (corner.children.length > MOST) corner.firstElementChild.remove();
  setTimeout(() => toast.remove(), SHOWN_MS);
}
