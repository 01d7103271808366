// A passkey made or given: the portal says what to sign, the browser signs, the form carries the answer back.
const form = document.querySelector("form[data-passkey]");
const makes = form?.dataset.passkey === "make";
const known = window.PublicKeyCredential;
const can = known && known.parseCreationOptionsFromJSON && known.parseRequestOptionsFromJSON && known.prototype.toJSON;

if (form && can) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = form.querySelector("[data-problem]");
    problem.hidden = true;
    try {
      const answer = await sign(await challenge());
      form.elements.answer.value = JSON.stringify(answer.toJSON());
      form.submit();
    } catch {
      problem.hidden = false; // the person turned away, or has no such passkey here
      problem.focus();
    }
  });
}

async function challenge() {
  const body = new URLSearchParams({ csrf_token: form.elements.csrf_token.value, make: makes ? "yes" : "" });
  const answer = await fetch("/account/factors/challenges", { method: "POST", body });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

function sign(asked) {
  return makes
    ? navigator.credentials.create({ publicKey: known.parseCreationOptionsFromJSON(asked) })
    : navigator.credentials.get({ publicKey: known.parseRequestOptionsFromJSON(asked) });
}
