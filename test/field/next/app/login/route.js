import { cookies } from "next/headers";

export async function POST(request) {
  const form = await request.formData();
  (await cookies()).set("user", form.get("user"), { httpOnly: true });
  return new Response(null, { status: 303, headers: { location: "/me" } });
}
